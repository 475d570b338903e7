/** Adapters beside one base: each answers as if it were alone, whatever else runs; the base is in memory once. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { servedEntries } from '../../src/cli/support/served-entry.ts'
import { load } from '../../src/index.ts'
import { createApp } from '../../src/server/http/app.ts'
import { writeAdapter } from '../checkpoint/write-adapter.ts'

const directory = mkdtempSync(join(tmpdir(), 'lineage-adapters-'))
after(() => rmSync(directory, { recursive: true, force: true }))
const base = join(import.meta.dirname, '../../models/abacus')
const modules = (layer: number): Record<string, [number, number]> => ({
  [`model.layers.${layer}.self_attn.q_proj`]: [128, 256],
  [`model.layers.${layer}.self_attn.o_proj`]: [256, 128],
})
const one = await writeAdapter(join(directory, 'one'), { ...modules(0), ...modules(1) }, {}, { rank: 4, seed: 1 })
const two = await writeAdapter(join(directory, 'two'), modules(2), { lora_alpha: 9 }, { rank: 3, seed: 2 })
const PROMPTS = ['47 + 85', '12 * 3', '900 - 1', '47 + 86']

for (const backend of ['wasm', 'reference'] as const)
  describe(backend, () => {
    test('base and two adapters at once give what each gives alone', async () => {
      const answers = async (adapters: Record<string, string>, names: (string | undefined)[]) => {
        await using model = await load(base, { backend, threads: 2, slots: 3, context: 96, adapters })
        const running = names.flatMap((name) =>
          PROMPTS.map((prompt) => {
            const engine = name === undefined ? model.engine : model.engine.withAdapter(name)
            const ids = model.tokenizer.encode(prompt)
            return engine.generate(ids, { maxTokens: 12, stopIds: [], sampling: { temperature: 0.8, seed: 5 } }).result
          }),
        )
        return (await Promise.all(running)).map(({ ids }) => ids)
      }
      const together = await answers({ one, two }, [undefined, 'one', 'two'])
      const alone = [...(await answers({}, [undefined])), ...(await answers({ one }, ['one'])), ...(await answers({ two }, ['two']))]
      assert.deepEqual(together, alone)
      assert.equal(new Set(together.map(String)).size > PROMPTS.length, true, 'the adapters change answers')
    })
  })

test('keys and values of one adapter are not reused by another', async () => {
  await using model = await load(base, { threads: 1, slots: 3, adapters: { one } })
  const ids = model.tokenizer.encode('12345 + 54321 + 11111')
  const first = await model.engine.generate(ids, { maxTokens: 1 }).result
  const other = await model.engine.withAdapter('one').generate(ids, { maxTokens: 1 }).result
  const again = await model.engine.withAdapter('one').generate(ids, { maxTokens: 1 }).result
  assert.deepEqual([first.cachedTokens, other.cachedTokens, again.cachedTokens], [0, 0, ids.length - 1])
})

test('the memory is that of the base once and of the adapters', async () => {
  const weights = async (adapters: Record<string, string>) => {
    await using model = await load(base, { threads: 1, adapters })
    const own = Object.values(model.adapters).reduce((sum, { bytes }) => sum + bytes, 0)
    return { all: model.backend.memory().weights, own }
  }
  const without = await weights({})
  const { all, own } = await weights({ one, two })
  assert.equal(all - without.all, own)
})

test('model.withAdapter speaks the whole API of a model; an unknown name is refused', async () => {
  await using model = await load(base, { threads: 1, adapters: { one } })
  const adapted = model.withAdapter('one')
  let text = ''
  for await (const delta of adapted.generate('47+85:', { maxTokens: 4, sampling: { temperature: 0 } })) text += delta
  const same = await adapted.generate(adapted.tokenizer.encode('47+85:'), { maxTokens: 4, sampling: { temperature: 0 } }).result
  assert.equal(text, adapted.tokenizer.decode(same.ids))
  assert.throws(() => model.withAdapter('three'), /expected one of the adapters one, got "three"/)
})

describe('serve', () => {
  test('each adapter is a model of its own; the shared model is loaded once and freed with its last user', async () => {
    const entries = await servedEntries(base, { parallel: 3, threads: 2, adapter: { one, two } })
    assert.deepEqual(
      entries.map(({ id, parent }) => [id, parent]),
      [
        ['abacus', undefined],
        ['one', 'abacus'],
        ['two', 'abacus'],
      ],
    )
    assert.equal(new Set(entries.map(({ fingerprint }) => fingerprint)).size, 3)
    const app = createApp({ models: entries, log: () => {} })
    const complete = async (model: string, prompt: string) => {
      const response = await app.fetch(
        new Request('http://localhost/v1/completions', {
          method: 'POST',
          body: JSON.stringify({ model, prompt, max_tokens: 8, temperature: 0 }),
          headers: { 'content-type': 'application/json' },
        }),
      )
      assert.equal(response.status, 200)
      return (await response.json()).choices[0].text as string
    }
    const all = ['abacus', 'one', 'two'].flatMap((model) => PROMPTS.map((prompt) => [model, prompt] as const))
    const together = await Promise.all(all.map(([model, prompt]) => complete(model, prompt)))
    const alone: string[] = []
    for (const [model, prompt] of all) alone.push(await complete(model, prompt))
    assert.deepEqual(together, alone)
    assert.ok(new Set(together).size > PROMPTS.length, 'the adapters change answers')
    const loaded = await Promise.all(entries.map((entry) => entry.load()))
    assert.equal(loaded.filter((model) => model.memoryBytes!() > 0).length, 0, 'the first user answers for the memory')
    for (const model of loaded) await model.dispose()
    assert.match(await complete('one', PROMPTS[0]!), /./)
    await app.close()
  })
})
