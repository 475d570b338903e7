/** The commands inspect, compare and steps: the numbers of the article, and their input and output files. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findPreset } from '../../src/architecture/presets.ts'
import { lineage } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'lineage-cli-'))
after(() => rmSync(folder, { recursive: true }))
const json = (...args: string[]) => {
  const { code, out, err } = lineage([...args, '--json'])
  assert.deepEqual([code, err], [0, ''], args.join(' '))
  return JSON.parse(out)
}
const tiny = (name: string) => fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url))

test('inspect: published names and Hugging Face ids', () => {
  const small = json('inspect', 'gpt-oss-20b', '--context', '128k')
  assert.equal(small.parameters.total, 20914757184)
  assert.equal(small.parameters.active, 3608307264)
  assert.equal(small.storedBytes, 13761264768)
  assert.equal(small.kvCache.bytesWithoutWindows, 6 * 2 ** 30)
  const large = json('inspect', 'openai/gpt-oss-120b')
  assert.deepEqual([large.parameters.total, large.parameters.active, large.storedBytes], [116829156672, 5132849472, 65248815744])
  assert.equal(json('inspect', 'gpt2').storedBytes, 548090880) // the causal masks of the files included
})

test('inspect --memory says what fits', () => {
  assert.deepEqual(json('inspect', 'gpt-oss-20b', '--memory', '16GB').memory, { memoryBytes: 16e9, fits: true, context: 90966 })
  assert.deepEqual(json('inspect', 'gpt-oss-120b', '--memory', '16GB').memory, { memoryBytes: 16e9, fits: false, context: null })
  assert.match(
    lineage(['inspect', 'gpt-oss-120b', '--memory', '16GB']).out,
    /does not fit into 14\.90 GiB .* weights alone take 60\.77 GiB/,
  )
  assert.match(lineage(['inspect', 'gpt-oss-20b', '--memory', '16GiB']).out, /fits into 16\.00 GiB .* with the full context/)
})

test('inspect of a directory reads the headers and checks them', () => {
  const described = json('inspect', tiny('tiny-gpt-oss'))
  assert.equal(described.name, 'tiny-gpt-oss')
  assert.equal(described.storedBytes, described.weightBytes.published)
  assert.match(described.origin, /headers of 1 safetensors file$/)
  assert.match(json('inspect', tiny('tiny-qwen3-moe')).origin, /headers of 2 safetensors files$/)
  const { out } = lineage(['inspect', join(tiny('tiny-gpt-oss'), 'config.json')])
  assert.match(out, /^tiny-gpt-oss {2}/)
})

test('inspect: pulled models and those of the package by name; an empty folder does not hide a published model', () => {
  const cache = join(folder, 'hub')
  const snapshot = join(cache, 'models--someone--small', 'snapshots', 'a'.repeat(40))
  cpSync(tiny('tiny-llama'), snapshot, { recursive: true })
  mkdirSync(join(cache, 'models--someone--small', 'refs'))
  writeFileSync(join(cache, 'models--someone--small', 'refs', 'main'), 'a'.repeat(40))
  const { out, err } = lineage(['inspect', 'someone/small', '--json'], { env: { HF_HUB_CACHE: cache } })
  assert.equal(err, '')
  assert.equal(JSON.parse(out).name, 'someone/small')
  mkdirSync(join(folder, 'gpt2'))
  assert.match(lineage(['inspect', 'gpt2'], { cwd: folder }).out, /^gpt2 {2}openai-community\/gpt2; /)
  if (existsSync(new URL('../../models/abacus', import.meta.url)))
    assert.match(lineage(['inspect', 'abacus'], { cwd: folder }).out, /^abacus /)
})

test('inspect: a directory whose tensors contradict its configuration is refused by name', () => {
  const config = JSON.parse(readFileSync(join(tiny('tiny-gpt2'), 'config.json'), 'utf8'))
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, vocab_size: 600 }))
  writeFileSync(join(folder, 'model.safetensors'), readFileSync(join(tiny('tiny-gpt2'), 'model.safetensors')))
  const { code, err } = lineage(['inspect', folder])
  assert.equal(code, 1)
  assert.match(err, /wte\.weight/)
  assert.match(err, /600/)
})

test('inspect: the error of an unknown model names the closest ones, that of an empty directory the missing file', () => {
  assert.match(lineage(['inspect', 'gpt-oss-20']).err, /^lineage: unknown model "gpt-oss-20"; closest: gpt-oss-20b, /)
  const empty = mkdtempSync(join(folder, 'empty-'))
  const { code, err } = lineage(['inspect', empty])
  assert.equal(code, 2)
  assert.match(err, /expected a config\.json in the directory, found none/)
  writeFileSync(join(folder, 'broken.json'), '{')
  assert.match(lineage(['inspect', join(folder, 'broken.json')]).err, /broken\.json: expected JSON/)
})

test('inspect: notes on unusual models, errors of impossible options', () => {
  const config = {
    ...findPreset('Qwen3-8B')!.config,
    rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32768 },
  }
  writeFileSync(join(folder, 'long.json'), JSON.stringify(config))
  assert.match(
    lineage(['inspect', join(folder, 'long.json')]).out,
    /YaRN × 4 from 32768 reaches 131072 tokens, but max_position_embeddings says 40960/,
  )
  const { code, err } = lineage(['inspect', 'gpt2', '--context', '2k'])
  assert.deepEqual(
    [code, err],
    [1, 'lineage: gpt2: expected a context of at most 1024 tokens (its learned positions end there), got 2048\n'],
  )
})

test('compare lists exactly the two differences of the gpt-oss sizes', () => {
  const { differences, models } = json('compare', 'gpt-oss-20b', 'gpt-oss-120b')
  assert.deepEqual(
    differences.map(({ key }: { key: string }) => key),
    ['layers', 'experts'],
  )
  assert.equal(models[1].parameters.total, 116829156672)
  const { out } = lineage(['compare', 'gpt-oss-20b', 'gpt-oss-120b'])
  assert.match(out, /\n2 differences\n≠ layers +24 +36\n≠ experts +32 +128\n\n/)
})

test('compare aligns its columns', () => {
  const lines = lineage(['compare', 'gpt2-xl', 'gpt-oss-20b', 'Qwen3-30B-A3B']).out.split('\n')
  const column = lines[0]!.indexOf('gpt-oss-20b')
  assert.ok(column > 0)
  for (const line of lines.filter((each) => each.startsWith('≠'))) assert.match(line.slice(column - 2, column + 1), /^ {2}\S/, line)
})

test('compare breaks long cells where the terminal is narrow', () => {
  const { out } = lineage(['compare', 'gpt2-xl', 'gpt-oss-20b', 'Qwen3-30B-A3B'], { env: { COLUMNS: '96' } })
  const lines = out.split('\n')
  const costs = lines.slice(0, lines.indexOf('alike'))
  assert.ok(Math.max(...costs.map(({ length }) => length)) <= 96)
  const at = costs.findIndex((line) => line.startsWith('≠ positions'))
  assert.match(costs[at]!, /^≠ positions +learned +RoPE θ 150,000, YaRN +RoPE θ 1,000,000$/)
  assert.match(costs[at + 1]!, /^ +× 32 from 4,096$/)
})

test('compare as Markdown and as a drawing', () => {
  const { out } = lineage(['compare', 'gpt2', 'gpt-oss-20b', '--markdown', '--context', '1k'])
  assert.match(out, /^\*\*20 differences\*\*\n\n\| {2}\| gpt2 \| gpt-oss-20b \|\n\| --- \| --- \| --- \|\n\| layers \| 12 \| 24 \|\n/)
  const file = join(folder, 'drawing.svg')
  assert.equal(lineage(['compare', 'gpt2', 'gpt-oss-20b', '--svg', file]).code, 0)
  assert.match(readFileSync(file, 'utf8'), /^<svg /)
  assert.equal(lineage(['compare', 'gpt2', 'gpt-oss-20b', '--svg', join(folder, 'drawing.svg', 'x.svg')]).code, 1)
  assert.ok(existsSync(file))
})

test('steps: thirteen ideas from GPT-2 to gpt-oss with their costs', () => {
  const { steps } = json('steps', '--from', 'gpt2-xl')
  assert.equal(steps.length, 14)
  assert.equal(steps[0].parameters.total, 1557611200)
  assert.deepEqual(
    steps[1].changes.map(({ key }: { key: string }) => key),
    ['dropout'],
  )
  assert.equal(steps.at(-1).name, 'mxfp4')
  assert.ok(steps.at(-1).weightBytes.published < steps.at(-2).weightBytes.published / 3)
  assert.match(lineage(['steps']).out, /^ 6 gqa /m)
})
