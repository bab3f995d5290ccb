"""The checks of the doctor: software, devices, files, DDS, clock. Each yields findings with the command that helps."""
