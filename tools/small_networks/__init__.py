"""The small networks and read-outs that ship: expressions, turns, lips. Trains and measures them.

Enters: recordings and tables of people, synthesised voices, simulated and rendered faces. Leaves: the files that
`perception`, `turns` and `speech` read, and figures of how good they are.
"""
