package model

// Environment is what has the clients in a box call its models. address is where
// the box finds its gateway. The key is no secret and opens nothing.
func Environment(address string) map[string]string {
	const key = "the-key-is-not-in-the-box"
	return map[string]string{
		"OPENAI_BASE_URL": "http://" + address + openAI{}.prefix(), "OPENAI_API_KEY": key,
		// Anthropic's clients add the version to the address themselves.
		"ANTHROPIC_BASE_URL": "http://" + address + "/anthropic", "ANTHROPIC_API_KEY": key,
	}
}
