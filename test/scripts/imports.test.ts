/** The check of imports finds every kind of violation, and none in the project. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { violations } from '../../scripts/imports.ts'
import { parse, sourcesIn } from '../../scripts/sources.ts'

const check = (files: Record<string, string>) => violations(Object.entries(files).map(([path, text]) => parse(path, text)))

test('the project keeps its own rules', () => assert.deepEqual(violations(sourcesIn('src')), []))

test('directions', () => {
  assert.deepEqual(check({ 'src/model/a.ts': "import { x } from '../ops/reference/b.ts'" }), [
    'src/model/a.ts:1: model must not import ops/reference (../ops/reference/b.ts)',
  ])
  assert.deepEqual(check({ 'src/ops/wasm/a.ts': "\nimport type { Architecture } from '../../model/b.ts'" }), [
    'src/ops/wasm/a.ts:2: ops/wasm must not import model (../../model/b.ts)',
  ])
  assert.equal(check({ 'src/server/a.ts': "export * from '../ops/ops.ts'" }).length, 1)
  assert.equal(check({ 'src/engine/a.ts': "const b = await import('../chat/b.ts')" }).length, 1)
  assert.equal(check({ 'src/architecture/a.ts': "import '../ops/dtype.ts'" }).length, 1)
  assert.deepEqual(check({ 'src/cli/a.ts': "import { x } from '../ops/reference/b.ts'" }), [])
  assert.deepEqual(check({ 'src/architecture/a.ts': "import { fnv1a } from '../random/hash.ts'" }), [])
  assert.equal(check({ 'src/random/a.ts': "import '../ops/dtype.ts'" }).length, 1)
  assert.match(check({ 'src/newfolder/a.ts': '' })[0]!, /the folder "newfolder" has no rule/)
})

test('node: and navigator.gpu belong into few files', () => {
  assert.equal(check({ 'src/engine/a.ts': "import fs from 'node:fs'" }).length, 1)
  assert.equal(check({ 'src/ops/wasm/a.ts': "import 'node:fs'" }).length, 0)
  assert.match(check({ 'src/ops/wasm/a.ts': "import 'node:fs'", 'src/ops/wasm/b.ts': "import 'node:os'" })[0]!, /one file may have them/)
  assert.deepEqual(check({ 'src/server/node.ts': "import 'node:http'", 'src/checkpoint/a-node.ts': "import 'node:fs'" }), [])
  assert.equal(check({ 'src/engine/a.ts': 'const g = navigator.gpu' }).length, 1)
})

test('shared code never asks for a family, comments may name one', () => {
  assert.equal(check({ 'src/model/a.ts': "if (name === 'gpt2') {}" }).length, 1)
  assert.equal(check({ 'src/ops/reference/a.ts': 'export const qwen3Router = 1' }).length, 1)
  assert.equal(check({ 'src/engine/a.ts': 'switch (architecture.modelType) {}' }).length, 1)
  assert.deepEqual(check({ 'src/model/a.ts': "// as in gpt-oss\n/* Llama */ const x = 'llama3'" }), [])
  assert.deepEqual(check({ 'src/architecture/a.ts': "const name = 'gpt2'" }), [])
})

test('cycles at run time, not of types', () => {
  const cycle = { 'src/chat/a.ts': "import { b } from './b.ts'", 'src/chat/b.ts': "import { a } from './a.ts'" }
  assert.deepEqual(check(cycle), ['cycle: src/chat/a.ts -> src/chat/b.ts -> src/chat/a.ts'])
  assert.deepEqual(check({ ...cycle, 'src/chat/b.ts': "import type { A } from './a.ts'" }), [])
  assert.deepEqual(check({ ...cycle, 'src/chat/b.ts': "import { type A, type B } from './a.ts'" }), [])
})

test('comments and strings do not count as imports', () => {
  const text = "// import x from '../model/a.ts'\n/*\nimport y from '../model/b.ts'\n*/\nconst s = `import z`"
  assert.deepEqual(parse('src/ops/a.ts', text).imports, [])
})
