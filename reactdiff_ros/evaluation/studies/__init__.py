"""What is measured of a listener: each module is one question, asked of streams that it plays."""
