"""Settings: where they come from, what they mean, where files live. The CLI may use all of it but `transfer`."""
