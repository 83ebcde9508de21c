"""The file formats of word vectors: a file a format, told apart and opened by `compute.embeddings.reading`."""
