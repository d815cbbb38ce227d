// Tells what an agent does, from the events that it writes: a line for what it
// says, for each tool that it uses, and the end of what came of it.
import { createInterface } from "node:readline";

const texts = (parts) => (parts ?? []).filter((p) => p.type === "text").map((p) => p.text).join("").trim();
const head = (text, n) => (text.length > n ? text.slice(0, n) + "…" : text);
const lines = (text) => text.split("\n").filter((l) => l.trim() && !l.startsWith("Command exited with code"));

for await (const line of createInterface({ input: process.stdin })) {
  const event = JSON.parse(line);
  const { message } = event;
  if (event.type === "message_end" && message.role === "assistant") {
    const said = texts(message.content) || (message.stopReason === "error" ? message.errorMessage : "");
    if (said) console.log("agent: " + said);
  }
  if (event.type === "tool_execution_start")
    console.log(`  ${event.toolName}: ${event.args.command ?? event.args.path}`);
  if (event.type === "tool_execution_end" && event.toolName === "bash")
    for (const l of lines(texts(event.result.content)).slice(-3)) console.log("    " + head(l, 100));
}
