/**
 * One run of llama.cpp through npm's node-llama-cpp in its own folder: loads a GGUF, reads prompts, writes answers, prints one line of
 * JSON. Started by run.ts; not a dependency of the project.
 *   node bench/peers/llama-cpp.ts FOLDER GGUF --prompt 512 --generate 32 --repeat 2 --threads 2 --vocab 201088
 */
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { uniform } from '../../src/random/counter.ts'
import { option, type Visit } from './visit.ts'

/** The part of node-llama-cpp that is used here. */
interface Sequence {
  clearHistory(): Promise<void>
  evaluate(tokens: number[], options: { temperature: number; yieldEogToken: boolean }): AsyncGenerator<number, void>
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>
}
interface Llama {
  loadModel(options: { modelPath: string; useMmap: boolean }): Promise<{
    createContext(options: {
      contextSize: number
      batchSize: number
      threads: number
      sequences: number
    }): Promise<{ getSequence(): Sequence }>
  }>
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    prompt: { type: 'string' },
    generate: { type: 'string' },
    repeat: { type: 'string' },
    threads: { type: 'string' },
    vocab: { type: 'string' },
  },
})
const [folder, gguf] = positionals as [string, string]
const [prompt, generate, repeat] = [option(values.prompt, 512), option(values.generate, 32), option(values.repeat, 2)]
const [threads, vocab] = [option(values.threads, 2), option(values.vocab, 32_000)]

const entry = pathToFileURL(join(resolve(folder), 'node_modules/node-llama-cpp/dist/index.js')).href
const { getLlama } = (await import(entry)) as { getLlama(options: object): Promise<Llama> }
const start = performance.now()
const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' })
// Unmapped: a mapped file would stay in memory beside its repacked copy.
const model = await llama.loadModel({ modelPath: gguf, useMmap: false })
const context = await model.createContext({ contextSize: prompt + generate + 8, batchSize: 512, threads, sequences: 1 })
const sequence = context.getSequence()
const loadMs = performance.now() - start

const prefillMs: number[] = []
const decodeMs: number[] = []
for (let n = 0; n <= repeat; n++) {
  // The first repetition is short and does not count.
  const length = n === 0 ? Math.min(32, prompt) : prompt
  const ids = Array.from({ length }, (_, i) => Math.floor(uniform(n, i) * vocab))
  await sequence.clearHistory()
  const begin = performance.now()
  await sequence.evaluateWithoutGeneratingNewTokens(ids.slice(0, -1))
  const times: number[] = []
  for await (const _ of sequence.evaluate(ids.slice(-1), { temperature: 0, yieldEogToken: true })) {
    times.push(performance.now())
    if (times.length === (n === 0 ? 4 : generate + 1)) break
  }
  if (n === 0) continue
  prefillMs.push(times[0]! - begin)
  decodeMs.push((times.at(-1)! - times[0]!) / (times.length - 1))
}
const visit: Visit = { prefillMs, decodeMs, loadMs, peakResidentBytes: process.resourceUsage().maxRSS * 1024 }
process.stdout.write(`${JSON.stringify(visit)}\n`)
process.exit(0) // its threads would keep the process alive
