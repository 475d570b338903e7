/** Every tiny checkpoint against transformers, on WebGPU. The tests stand in golden-cases.ts. */
import { test } from 'node:test'
import { webgpu } from '../ops/backends.ts'
import { noAdapter } from '../ops/webgpu/adapters.ts'
import { goldenTests } from './golden-cases.ts'

if (noAdapter) test('golden checkpoints', { skip: noAdapter }, () => {})
else goldenTests(webgpu)
