"""Proofs that a validator's weights follow from its scores, without showing the scores.

Optional: nothing on the chain asks for a proof. `rule` is the statement in plain integers,
`graph` the same as a circuit's graph, `circuit` the keys and the prover (EZKL, imported only when
used), `weights` the proof that travels.
"""
