"""What turns a happening into an execution, and why it did not."""
