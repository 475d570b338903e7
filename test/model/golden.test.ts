/** Every tiny checkpoint against transformers, on the backends of the CPU. The tests stand in golden-cases.ts. */
import { backends } from '../ops/backends.ts'
import { goldenTests } from './golden-cases.ts'

for (const backend of backends) goldenTests(backend)
