/**
 * The commands train and eval as people type them: a run, its files, its resumption, and the same loss from the saved model in the engine.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { random } from '../../src/random/stream.ts'
import { stories } from '../../src/train/data/stories.ts'

const directory = mkdtempSync(join(tmpdir(), 'lineage-train-cli-'))
after(() => rmSync(directory, { recursive: true, force: true }))
const text = join(directory, 'stories.txt')
writeFileSync(text, stories(random(1), 30_000))
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const lineage = (...args: string[]) => promisify(execFile)(process.execPath, [main, ...args], { cwd: directory })
const small = ['--data', text, '--layers', '2', '--width', '32', '--block', '32', '--batch', '8', '--threads', '2', '--inline']

for (const [step, tokenizer] of [
  ['gpt2', 'char'],
  ['mxfp4', 'byte'],
] as const)
  test(`train ${step} and eval give one loss`, async () => {
    const out = join(directory, step)
    const quantise = step === 'mxfp4' ? ['--quantise-from', '5'] : []
    const trained = await lineage('train', step, ...small, '--tokenizer', tokenizer, '--steps', '10', '--out', out, ...quantise)
    const own = Number(/held-out loss ([\d.]+) after 10 steps/.exec(trained.stdout)![1])
    for (const file of ['log.jsonl', 'curve.svg', 'state.bin', 'model/config.json', 'model/model.safetensors', 'model/tokenizer.json'])
      assert.ok(existsSync(join(out, file)), file)
    const json = join(directory, `${step}.json`)
    await lineage('eval', join(out, 'model'), '--data', text, '--held-out', '0.1', '--block', '32', '--json', json)
    const { loss, perplexity, bitsPerByte } = JSON.parse(readFileSync(json, 'utf8'))
    // bf16 rounding of the dense weights, and 16-bit activations of the four-bit experts.
    assert.ok(Math.abs(loss - own) < (step === 'mxfp4' ? 5e-3 : 2e-4), `eval ${loss}, train ${own}`)
    assert.ok(Math.abs(perplexity - Math.exp(loss)) < 1e-9 && Math.abs(bitsPerByte - loss / Math.LN2) < 1e-9)
    await assert.rejects(lineage('train', step, ...small, '--out', out), /holds a run already/)
    const resumed = await lineage('train', step, ...small, '--tokenizer', tokenizer, '--steps', '12', '--out', out, '--resume', ...quantise)
    assert.match(resumed.stdout, /after 12 steps/)
    assert.equal(
      readFileSync(join(out, 'log.jsonl'), 'utf8')
        .split('\n')
        .filter((line) => line.includes('"kind":"step"')).length,
      12,
    )
  })

test('wrong use is said in one line', async () => {
  await assert.rejects(lineage('train', 'gpt5', ...small), /unknown step "gpt5"/)
  await assert.rejects(lineage('train', 'gpt2'), /--data FILE is needed/)
  await assert.rejects(lineage('eval', 'abacus'), /either --data FILE or --effort/)
  await assert.rejects(lineage('experiment', 'nothing'), /unknown experiment/)
})
