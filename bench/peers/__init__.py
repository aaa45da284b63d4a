"""What a user would write or run instead of imgbatch, each as well as its manual tells, and floors.

All use every core with one process each, which measured faster than their own threads, and write
JPEGs of the same quality in 4:2:0. That gives them a little less to do than imgbatch has, which
keeps the subsampling of each file; also none of them keeps metadata that its library does not.
"""
