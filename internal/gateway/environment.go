package gateway

// Environment is what has the tools in a box use the gateway: curl, git, pip,
// npm, Go, Python and what is built like them look at these variables. NODE_*
// is for what node itself connects to, see its documentation. address is where
// the box finds its gateway.
func Environment(address string) map[string]string {
	env := map[string]string{"NODE_USE_ENV_PROXY": "1"}
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		env[name] = "http://" + address
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		env[name] = "localhost,127.0.0.1,::1"
	}
	return env
}

// Trusting is what has the tools in a box trust those whose certificates are in
// a file, and nobody else: what is built on OpenSSL, Go, node, npm, git, curl, pip,
// requests, cargo, deno and the clients of AWS.
func Trusting(file string) map[string]string {
	env := map[string]string{}
	for _, name := range []string{
		"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT",
		"NPM_CONFIG_CAFILE", "CARGO_HTTP_CAINFO", "DENO_CERT", "AWS_CA_BUNDLE",
	} {
		env[name] = file
	}
	return env
}
