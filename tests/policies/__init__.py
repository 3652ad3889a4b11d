"""The policy documents on AWS, judged by an evaluator that shares nothing with symfed."""
