"""What is recorded, as documents for whoever searches it elsewhere."""
