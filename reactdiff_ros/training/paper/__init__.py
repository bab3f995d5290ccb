"""The published model (Li et al., arXiv 2505.14151) in its published sizes, for labs that have the REACT data."""
