/** Models of Ollama are found by their manifests, and nothing is written into its folder. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ModelIdError } from '../../src/hub/cache-node.ts'
import { locateModel } from '../../src/hub/locate-node.ts'
import { locateOllama } from '../../src/hub/ollama-node.ts'
import { loadModel } from '../../src/load-model-node.ts'

const file = join(import.meta.dirname, '../fixtures/gguf/tiny-qwen2.gguf')
const hash = createHash('sha256').update(readFileSync(file)).digest('hex')
const root = mkdtempSync(join(tmpdir(), 'lineage-ollama-'))
const env = { OLLAMA_MODELS: root }
const blob = join(root, 'blobs', `sha256-${hash}`)

before(() => {
  mkdirSync(join(root, 'blobs'))
  cpSync(file, blob)
  const good = manifest(`sha256:${hash}`)
  for (const [place, text] of Object.entries({
    'registry.ollama.ai/library/tiny/latest': good,
    'registry.ollama.ai/library/tiny/0.5b': good,
    'registry.ollama.ai/me/tiny/v1': good,
    'hf.co/org/tiny-GGUF/Q4_K_M': good,
    'registry.ollama.ai/library/gone/latest': manifest(`sha256:${'0'.repeat(64)}`),
    'registry.ollama.ai/library/odd/latest': '{"layers": 5}',
    'registry.ollama.ai/library/evil/latest': manifest('sha256:../../../../etc/passwd'),
    'registry.ollama.ai/library/damaged/latest': '{',
  })) {
    mkdirSync(join(root, 'manifests', place, '..'), { recursive: true })
    writeFileSync(join(root, 'manifests', place), text)
  }
})
after(() => rmSync(root, { recursive: true, force: true }))

function manifest(digest: string): string {
  const layers = [
    { mediaType: 'application/vnd.ollama.image.template', digest: `sha256:${'1'.repeat(64)}`, size: 10 },
    { mediaType: 'application/vnd.ollama.image.model', digest, size: 100 },
  ]
  return JSON.stringify({ schemaVersion: 2, layers })
}

/** Every path with size and time of change. */
const state = () =>
  readdirSync(root, { recursive: true }).map((name) => [
    name,
    statSync(join(root, String(name))).size,
    statSync(join(root, String(name))).mtimeMs,
  ])

for (const name of ['tiny', 'tiny:latest', 'tiny:0.5b', 'me/tiny:v1', 'hf.co/org/tiny-GGUF:Q4_K_M', 'registry.ollama.ai/library/tiny'])
  test(`ollama:${name} is found`, async () => assert.equal(await locateOllama(`ollama:${name}`, env), blob))

test('it is loaded, and the folder stays as it was', async () => {
  const before = state()
  process.env.OLLAMA_MODELS = root
  try {
    const located = await locateModel('ollama:tiny')
    assert.ok('directory' in located)
    const model = await loadModel(located.directory, { backend: 'reference' })
    assert.equal(model.architecture.modelType, 'qwen2')
    await model.dispose()
  } finally {
    delete process.env.OLLAMA_MODELS
  }
  assert.deepEqual(state(), before)
})

for (const [name, message] of [
  ['absent', /no such model in .*; it has .*ollama:hf\.co\/org\/tiny-GGUF:Q4_K_M, .*ollama:me\/tiny:v1.*ollama pull absent/],
  ['tiny:7b', /no such model/],
  ['gone', /its file .*blobs\/sha256-0000.* is not there/],
  ['odd', /expected a layer of the type/],
  ['evil', /with a sha256 digest/],
  ['damaged', /expected a layer/],
  ['', /expected ollama:NAME/],
  ['../../etc/passwd', /expected ollama:NAME/],
  ['a/../b', /expected ollama:NAME/],
  ['a/b/c/d', /expected ollama:NAME/],
] as const)
  test(`ollama:${name} is refused`, () =>
    assert.rejects(locateOllama(`ollama:${name}`, env), (error: Error) => {
      assert.ok(error instanceof ModelIdError)
      assert.match(error.message, message)
      return true
    }))
