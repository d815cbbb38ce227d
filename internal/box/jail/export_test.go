package jail

// Descendants lets a test wait for processes that it knows no number of.
var Descendants = descendants
