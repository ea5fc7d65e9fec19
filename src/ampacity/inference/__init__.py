"""What a model on an accelerator does: step time, memory, tokens per second. Knows no subscriber and no contract."""
