/**
 * Answers of models with random weights under generated schemas, through everything a real answer passes: prompt, engine, kernels,
 * sampling at temperature 1, parser, guide. Such models want nothing, so only the grammar can make their documents valid.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { configFromJson } from '../../src/architecture/config-json.ts'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import type { ChatFormat, FinishReason } from '../../src/chat/messages.ts'
import { chat } from '../../src/chat/session.ts'
import { createEngine } from '../../src/engine/engine.ts'
import { createBackend } from '../../src/load-model-node.ts'
import { initialize } from '../../src/model/initialize.ts'
import { compileSchema, UnsupportedSchemaError } from '../../src/structured/structured.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { byteTokenizer, harmonySpecials, qwenSpecials } from '../chat/byte-tokenizer.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { randomRoot } from './schemas.ts'
import { validator } from './validator.ts'

const SLOTS = 8

const families: Record<string, { specials: Parameters<typeof byteTokenizer>[0]; format: (tokenizer: Tokenizer) => ChatFormat }> = {
  'tiny-gpt-oss': { specials: harmonySpecials, format: harmonyFormat },
  'tiny-qwen3': { specials: qwenSpecials, format: (tokenizer) => qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' }) },
}
/** Narrow weights draw nearly every id alike, wide ones repeat themselves. */
export const models = Object.keys(families).flatMap((family) => [0.02, 0.4].map((range) => ({ family, range })))

/** Schemas that some value satisfies. */
export function enforceable(seed: number, count: number): Record<string, unknown>[] {
  const next = random(seed)
  const schemas: Record<string, unknown>[] = []
  while (schemas.length < count) {
    const schema = randomRoot(next)
    try {
      compileSchema(schema)
      schemas.push(schema)
    } catch (error) {
      if (!(error instanceof UnsupportedSchemaError)) throw error
    }
  }
  return schemas
}

/**
 * One answer per schema. Fails when one that is called complete does not parse or does not validate.
 * @returns how many answers ended for which reason, and the generated tokens
 */
export async function answersUnder(
  schemas: readonly Record<string, unknown>[],
  { family, range }: (typeof models)[number],
  seed: number,
): Promise<{ reasons: Partial<Record<FinishReason, number>>; tokens: number }> {
  const { specials, format } = families[family]!
  const tokenizer = byteTokenizer(specials)
  const file = new URL(`../fixtures/checkpoints/${family}/config.json`, import.meta.url)
  const { quantization_config: _, pad_token_id: __, ...config } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  const sized = { ...config, vocab_size: tokenizer.vocabSize, eos_token_id: tokenizer.vocabSize - 1, num_hidden_layers: 2 }
  const layers = config.layer_types ? { layer_types: (config.layer_types as string[]).slice(0, 2) } : {}
  const architecture = { ...configFromJson({ ...sized, ...layers }, file.pathname), initializerRange: range }
  const backend = await createBackend({ backend: 'wasm', threads: 1 })
  const weights = await initialize(architecture, backend, seed)
  const engine = await createEngine({ backend, architecture, weights, slots: SLOTS, context: 8192 })
  const model = { engine, tokenizer, format: format(tokenizer) }
  const reasons: Partial<Record<FinishReason, number>> = {}
  let tokens = 0
  const waiting = [...schemas.entries()]
  const answers = async () => {
    for (let entry = waiting.shift(); entry; entry = waiting.shift()) {
      const [i, schema] = entry
      let text = ''
      const options = {
        schema,
        maxTokens: 300,
        thinking: { budget: 16 },
        sampling: { temperature: 1, topP: 1, topK: 0, seed: seed * 1000 + i },
      }
      for await (const event of chat(model, [{ role: 'user', content: 'Go.' }], options)) {
        if (event.type === 'text-end' && event.phase === 'final') text += event.text
        if (event.type !== 'finish') continue
        reasons[event.reason] = (reasons[event.reason] ?? 0) + 1
        tokens += event.usage.completionTokens
        if (event.reason === 'stop') assert.equal(validator(schema)(text), undefined, `${JSON.stringify(schema)}\n${text}`)
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: SLOTS }, answers))
  } finally {
    await engine.close()
    await backend.dispose()
  }
  return { reasons, tokens }
}
