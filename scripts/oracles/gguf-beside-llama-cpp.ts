/**
 * Whether llama.cpp gives the same logits for two GGUF files of one model, such as one of its own converter and one of `lineage quantize`.
 *
 *   node scripts/oracles/gguf-beside-llama-cpp.ts PEERS A.gguf B.gguf     PEERS: a directory with node_modules/node-llama-cpp
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const [peers, ...files] = process.argv.slice(2) as [string, string, string]
const { getLlama } = await import(pathToFileURL(resolve(peers, 'node_modules/node-llama-cpp/dist/index.js')).href)
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error' })
const PROMPT = [1, 17, 200, 45, 33, 99, 310, 8]
const LENGTH = 16

/** The greedy ids of a file with the log-probabilities at each. */
async function run(modelPath: string): Promise<{ ids: number[]; tables: Map<number, number>[] }> {
  const model = await llama.loadModel({ modelPath, useMmap: false })
  const context = await model.createContext({ contextSize: 256, threads: 1, sequences: 1 })
  const sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, yieldEogToken: true }
  const answer = context.getSequence().evaluateWithMetadata(PROMPT, { probabilities: true }, sampling)
  const [ids, tables]: [number[], Map<number, number>[]] = [[], []]
  for (let step = await answer.next(); !step.done && ids.length < LENGTH; step = await answer.next(ids.at(-1))) {
    const table: Map<number, number> = step.value.probabilities
    ids.push([...table].reduce((best, one) => (one[1] > best[1] ? one : best))[0])
    tables.push(table)
  }
  await model.dispose()
  return { ids, tables }
}

const [a, b] = [await run(files[0]), await run(files[1])]
const distance = a.tables.reduce(
  (most, table, n) => Math.max(most, ...[...table].map(([id, p]) => Math.abs(p - (b.tables[n]!.get(id) ?? 0)))),
  0,
)
console.log(JSON.stringify({ sameIds: a.ids.join() === b.ids.join(), largestDifferenceOfProbabilities: distance }))
await llama.dispose()
