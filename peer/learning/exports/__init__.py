"""A trained model as a file that other programs predict with. Begin with :mod:`.exported`.

Each of the others writes one format: :mod:`.onnx`, :mod:`.sklearn`, :mod:`.torch`.
"""
