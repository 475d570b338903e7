/**
 * The commands train and eval as people type them: a run, its files, its resumption, and the same loss from the saved model in the engine.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { random } from '../../src/random/stream.ts'
import { stories } from '../../src/train/data/stories.ts'
import { SMALL, smallModels, smallSideRoads } from '../../src/train/small-models.ts'

const directory = mkdtempSync(join(tmpdir(), 'lineage-train-cli-'))
after(() => rmSync(directory, { recursive: true, force: true }))
const text = join(directory, 'stories.txt')
writeFileSync(text, stories(random(1), 30_000))
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const lineage = (...args: string[]) => promisify(execFile)(process.execPath, [main, ...args], { cwd: directory })
const small = ['--data', text, '--layers', '2', '--width', '32', '--block', '32', '--batch', '8', '--threads', '2']

type Evaluation = { kind: string; loss: number }
const logged = (out: string) =>
  readFileSync(join(out, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Evaluation)

async function evaluated(out: string, ...options: string[]): Promise<number> {
  const json = join(directory, 'eval.json')
  await lineage('eval', join(out, 'model'), '--data', text, '--held-out', '0.1', '--block', '32', '--json', json, '--force', ...options)
  const { loss, perplexity, bitsPerByte } = JSON.parse(readFileSync(json, 'utf8'))
  assert.ok(Math.abs(perplexity - Math.exp(loss)) < 1e-9)
  const perByte = loss / Math.LN2 // where every token is one byte
  assert.ok(out.endsWith('bpe') ? bitsPerByte < perByte / 2 : Math.abs(bitsPerByte - perByte) < 1e-9)
  return loss
}

for (const { name } of [...smallModels({ ...SMALL, vocabSize: 65 }), ...smallSideRoads({ ...SMALL, vocabSize: 65 })])
  test(`train ${name} saves a model, and eval gives its held-out loss`, async () => {
    const out = join(directory, name)
    const extra = name === 'mxfp4' ? ['--quantise-from', '3', '--tokenizer', 'byte'] : []
    const trained = await lineage('train', name, ...small, ...extra, '--steps', '6', '--out', out)
    for (const file of ['log.jsonl', 'curve.svg', 'state.bin', 'model/config.json', 'model/model.safetensors', 'model/tokenizer.json'])
      assert.ok(existsSync(join(out, file)), file)
    assert.ok(!readdirSync(out).some((file) => file.endsWith('.tmp')))
    if (name !== 'mxfp4') {
      const { loss } = logged(out).findLast(({ kind }) => kind === 'evaluation')!
      assert.ok(Math.abs((await evaluated(out)) - loss) < 1e-4)
      return
    }
    // Dense weights are rounded to bf16 and experts to MXFP4, whose activations the engine holds in 16 bits per block.
    const rounded = Number(/saved model ([\d.]+)/.exec(trained.stdout)![1])
    const loss = await evaluated(out)
    assert.ok(Math.abs(loss - rounded) < 5e-4, `eval ${loss}, train ${rounded}`)
    await assert.rejects(lineage('train', name, ...small, '--out', out), /holds a run already/)
    const resumed = await lineage('train', name, ...small, ...extra, '--steps', '8', '--out', out, '--resume')
    assert.match(resumed.stdout, /after 8 steps/)
    assert.equal(logged(out).filter(({ kind }) => kind === 'step').length, 8)
  })

for (const name of ['gpt2', 'mxfp4'])
  test(`train --from ${name} begins with the loss of the checkpoint and saves what it learned`, async () => {
    const [from, out] = [join(directory, name), join(directory, `${name}-tuned`)]
    // The reference, since the wasm backend holds the activations of four-bit experts in 16 bits.
    const before = await evaluated(from, '--backend', 'reference')
    const args = ['--data', text, '--block', '32', '--batch', '8', '--steps', '5', '--rate', '1e-3', '--out', out]
    const { stdout } = await lineage('train', '--from', join(from, 'model'), ...args)
    const first = logged(out)[0]!
    assert.equal(first.kind, 'evaluation')
    assert.ok(Math.abs(first.loss - before) < 1e-6, `${first.loss} against ${before}`)
    const after = await evaluated(out)
    assert.ok(after < before)
    const saved = /saved model ([\d.]+)/.exec(stdout)?.[1] ?? logged(out).at(-1)!.loss
    assert.ok(Math.abs(after - Number(saved)) < 5e-4)
  })

test('a tokenizer is learned from the text, and the model is evaluated with it', async () => {
  const out = join(directory, 'bpe')
  const { stdout } = await lineage('train', 'rope', ...small, '--tokenizer', 'bpe:400', '--steps', '4', '--out', out)
  const { model } = JSON.parse(readFileSync(join(out, 'model/tokenizer.json'), 'utf8'))
  assert.equal(model.merges.length, 143)
  const { loss } = logged(out).findLast(({ kind }) => kind === 'evaluation')!
  assert.ok(Math.abs((await evaluated(out)) - loss) < 1e-4)
  assert.match(stdout, /model in/)
})

test('a mixture is trained through MXFP4 from its weights, and saved packed', async () => {
  const [from, out] = [join(directory, 'moe'), join(directory, 'packed')]
  const args = ['--data', text, '--block', '32', '--batch', '8', '--steps', '4', '--quantise-from', '1', '--out', out]
  const { stdout } = await lineage('train', '--from', join(from, 'model'), ...args)
  assert.equal(JSON.parse(readFileSync(join(out, 'model/config.json'), 'utf8')).expert_dtype, 'mxfp4')
  const saved = Number(/saved model ([\d.]+)/.exec(stdout)![1])
  assert.ok(Math.abs((await evaluated(out)) - saved) < 5e-4)
  await assert.rejects(
    lineage('train', '--from', join(directory, 'rope/model'), ...args.slice(0, -1), join(directory, 'no')),
    /has no experts/,
  )
})

test('train --lora saves an adapter that runs beside the model, and leaves the model alone', async () => {
  const [from, out] = [join(directory, 'mxfp4'), join(directory, 'lora')]
  const weights = readFileSync(join(from, 'model/model.safetensors'))
  const args = ['--data', text, '--block', '32', '--batch', '8', '--steps', '5', '--rate', '0.01', '--lora', '4', '--lora-rs']
  const { stdout, stderr } = await lineage('train', '--from', join(from, 'model'), ...args, '--lora-on', 'q,v,experts', '--out', out)
  assert.match(stderr, /adapters of rank 4, .* parameters; memory: base [\d.]+ [KM]iB, adapters [\d.]+ [KM]iB/)
  assert.match(stdout, /adapter in .*lora.adapter; use it with: lineage chat/)
  const losses = logged(out).flatMap(({ kind, loss }) => (kind === 'evaluation' ? [loss] : []))
  const json = join(directory, 'eval.json')
  const beside = ['--adapter', join(out, 'adapter'), '--data', text, '--held-out', '0.1', '--block', '32', '--json', json, '--force']
  await lineage('eval', join(from, 'model'), ...beside)
  const { loss } = JSON.parse(readFileSync(json, 'utf8'))
  assert.ok(losses.at(-1)! < losses[0]! && Math.abs(loss - losses.at(-1)!) < 5e-4, `${losses} against ${loss}`)
  assert.deepEqual(readFileSync(join(from, 'model/model.safetensors')), weights)
  const resumed = await lineage(
    'train',
    '--from',
    join(from, 'model'),
    ...args,
    '--lora-on',
    'q,v,experts',
    '--out',
    out,
    '--resume',
    '--steps',
    '7',
  )
  assert.match(resumed.stdout, /after 7 steps/)
  await assert.rejects(lineage('train', 'gpt2', ...small, '--lora', '4'), /--lora needs --from MODEL/)
})

test('an early stop saves the best weights and says their loss', async () => {
  const out = join(directory, 'early')
  const args = ['--steps', '40', '--rate', '0.3', '--warmup', '1', '--evaluate-every', '2', '--patience', '2', '--out', out]
  const { stdout } = await lineage('train', 'gpt2', ...small, ...args)
  const best = Math.min(...logged(out).flatMap(({ kind, loss }) => (kind === 'evaluation' ? [loss] : [])))
  assert.ok(Math.abs((await evaluated(out)) - best) < 1e-4)
  assert.match(stdout, new RegExp(`saved model ${best.toFixed(4)}`))
})

test('a training whose messages nobody reads goes on', async () => {
  const out = join(directory, 'unread')
  const child = spawn(process.execPath, [main, 'train', 'gpt2', ...small, '--steps', '12', '--evaluate-every', '2', '--out', out])
  child.stderr.once('data', () => child.stderr.destroy())
  assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0)
  assert.ok(existsSync(join(out, 'model/config.json')))
})

test('wrong use is said in one line', async () => {
  await assert.rejects(lineage('train', 'gpt5', ...small), /unknown step "gpt5"/)
  await assert.rejects(lineage('train', 'gpt2'), /--data FILE is needed/)
  await assert.rejects(lineage('train', 'gpt2', ...small, '--lora-alpha', '4'), /--lora-alpha needs --lora RANK/)
  await assert.rejects(lineage('train', 'gpt2', ...small, '--kl', '1'), /--kl needs --reinforce FILE/)
  await assert.rejects(lineage('train', '--from', 'abacus', '--data', text, '--width', '32'), /--width is for the steps/)
  await assert.rejects(lineage('train', 'abacus', '--data', text), /--data is not for abacus/)
  await assert.rejects(lineage('eval', 'abacus', '--data', text, '--held-out', '10'), /Expected a number above 0 and up to 1/)
  await assert.rejects(lineage('eval', 'abacus'), /either --data FILE or --effort/)
  await assert.rejects(lineage('experiment', 'nothing'), /unknown experiment/)
})
