"""Surgery: other nets made of a net's parts, arrays and all.

Every operation answers a new net whose sizes are inferred at once; the arrays are the old net's own tensors,
and the old net stays as it is. ``verbs`` has them as methods of nets, ``paths`` finds and changes what stands
at a path, ``sketch`` is a net taken apart, and the others do the work, one file a family. Codecs and types
stay at the outer ports while parts come and go between them; where an end is cut off, its type goes with it.
"""
