"""What a model learns without labels."""
