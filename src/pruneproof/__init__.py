"""PruneProof: does visual-token pruning change how robust a vision-language model is, and how much it hallucinates?"""
