/** Names that trainers and wrappers change, other names of shared tensors, and numbers of config.json that JSON does not know. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { WeightsMismatchError } from '../../src/checkpoint/errors.ts'
import { writeSafetensors } from '../../src/checkpoint/write-node.ts'
import { parsePythonJson } from '../../src/json/python.ts'
import { loadCheckpoint } from './load-directory.ts'
import { memorySink } from './memory-sink.ts'
import { checkpointDirectory, fixtures, type Raw, rawTensors } from './raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-names-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

/** The inner weights of a directory, byte for byte. */
async function weights(directory: string) {
  const sink = memorySink()
  await loadCheckpoint(directory, sink)
  return new Map([...sink.held].map(([name, { bytes }]) => [name, Buffer.from(bytes).toString('base64')]))
}

describe('names with something around them are those of the model', () => {
  const layers = (name: string, wrapper: string) => name.replace(/layers\.\d+\./, `$&${wrapper}`)
  const wrappers: [string, (name: string) => string][] = [
    ['data parallel', (name) => `module.${name}`],
    ['torch.compile', (name) => `_orig_mod.${name}`],
    ['both', (name) => `module._orig_mod.${name}`],
    ['both, the other way', (name) => `_orig_mod.module.${name}`],
    ['a merged adapter', (name) => `base_model.model.${name}`],
    ['sharded data parallel', (name) => layers(name, '_fsdp_wrapped_module.')],
    ['checkpointed activations', (name) => layers(name, '_checkpoint_wrapped_module.')],
    ['compiled layers', (name) => layers(name, '_orig_mod.')],
    ['a Lightning module', (name) => `model.${name}`],
    ['a student beside nothing else', (name) => `student.net.${name}`],
    [
      'everything at once',
      (name) => `_forward_module.module._orig_mod.${layers(name, '_fsdp_wrapped_module._checkpoint_wrapped_module.')}`,
    ],
  ]
  for (const fixture of ['tiny-llama', 'tiny-gpt2', 'tiny-qwen3-moe', 'tiny-gpt-oss'])
    test(fixture, async () => {
      const expected = await weights(join(fixtures, fixture))
      const tensors = [...(await rawTensors(join(fixtures, fixture))).values()]
      for (const [name, wrap] of wrappers) {
        const renamed = tensors.map((one) => ({ ...one, name: wrap(one.name) }))
        assert.deepEqual(await weights(await checkpointDirectory(temporary, fixture, renamed)), expected, name)
      }
    })

  test('a prefix that only some tensors have is reported', async () => {
    const tensors = [...(await rawTensors(join(fixtures, 'tiny-llama'))).values()]
    const some = tensors.map((one, i) => ({ ...one, name: i % 2 ? one.name : `module.${one.name}` }))
    await assert.rejects(weights(await checkpointDirectory(temporary, 'tiny-llama', some)), WeightsMismatchError)
  })
})

describe('a tensor stored under its other name only', () => {
  const tied: [string, string, string][] = [
    ['tiny-gemma', 'model.embed_tokens.weight', 'lm_head.weight'],
    ['tiny-gpt2', 'wte.weight', 'lm_head.weight'],
    ['tiny-gemma2', 'model.embed_tokens.weight', 'lm_head.weight'],
  ]
  async function saved(fixture: string, rename: (one: Raw) => Raw, metadata: Record<string, string>): Promise<string> {
    const raw = await rawTensors(join(fixtures, fixture))
    const path = await checkpointDirectory(temporary, fixture, [])
    await writeSafetensors(join(path, 'model.safetensors'), [...raw.values()].map(rename), { metadata })
    return path
  }
  for (const [fixture, embed, head] of tied)
    test(fixture, async () => {
      const raw = await rawTensors(join(fixtures, fixture))
      const name = [...raw.keys()].find((one) => one.endsWith(embed))!
      assert.ok(name && !raw.has(head), 'the fixture is tied')
      const path = await saved(fixture, (one) => (one.name === name ? { ...one, name: head } : one), { format: 'pt', [name]: head })
      assert.deepEqual(await weights(path), await weights(join(fixtures, fixture)))
    })

  test('metadata that names no tensor is no alias', async () => {
    const path = await saved('tiny-llama', (one) => one, { format: 'pt', 'model.extra.weight': 'nothing', note: 'x' })
    assert.deepEqual(await weights(path), await weights(join(fixtures, 'tiny-llama')))
  })
})

describe('numbers that only Python writes', () => {
  test('Infinity and NaN are values, and text stays text', () => {
    const text = '{"a": Infinity, "b": [-Infinity, NaN, 1], "c": "NaN, \\"Infinity\\" and -Infinity", "NaN": null, "d": {"e": NaN}}'
    assert.deepEqual(parsePythonJson(text), {
      a: Number.POSITIVE_INFINITY,
      b: [Number.NEGATIVE_INFINITY, Number.NaN, 1],
      c: 'NaN, "Infinity" and -Infinity',
      NaN: null,
      d: { e: Number.NaN },
    })
    for (const bad of ['{', '{"a": Infinit}', '{"a": NaNa}', '{"a": +Infinity}', 'Infinity 1'])
      assert.throws(() => parsePythonJson(bad), SyntaxError, bad)
  })

  async function withConfig(change: (text: string) => string): Promise<string> {
    const path = await checkpointDirectory(temporary, 'tiny-llama', (await rawTensors(join(fixtures, 'tiny-llama'))).values())
    const text = readFileSync(join(path, 'config.json'), 'utf8')
    writeFileSync(join(path, 'config.json'), change(text))
    return path
  }

  test('in fields that nobody reads they do no harm; in fields that are read they are named', async () => {
    const expected = await weights(join(fixtures, 'tiny-llama'))
    for (const extra of ['"time_step_limit": [0.0, Infinity]', '"router_jitter": NaN', '"a": {"b": [-Infinity]}'])
      assert.deepEqual(await weights(await withConfig((text) => text.replace('{', `{${extra},`))), expected, extra)
    const wrong = await withConfig((text) => text.replace(/"rms_norm_eps": [^,]+/, '"rms_norm_eps": Infinity'))
    await assert.rejects(weights(wrong), /config\.json: rms_norm_eps: expected a number above 0, got Infinity/)
    const none = await withConfig((text) => text.replace(/"rms_norm_eps": [^,]+/, '"rms_norm_eps": NaN'))
    await assert.rejects(weights(none), /rms_norm_eps: expected a number above 0, got NaN/)
  })

  test('the dtype "auto" is that of the tensors', async () => {
    for (const key of ['dtype', 'torch_dtype']) {
      const path = await withConfig((text) => text.replace(/"(torch_)?dtype": "[^"]+"/, `"${key}": "auto"`))
      const { architecture } = await loadCheckpoint(path, memorySink())
      assert.equal(architecture.dtype, 'bf16')
    }
  })
})
