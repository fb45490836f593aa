"""Whether a tumour is benign: a project of Flower."""
