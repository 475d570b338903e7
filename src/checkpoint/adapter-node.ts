/** Saves changes of low rank as a LoRA directory of PEFT. The directory appears as a whole. */
import { join } from 'node:path'
import type { Architecture } from '../architecture/architecture.ts'
import { writeDirectoryAtomically, writeFileAtomically } from '../files/write-node.ts'
import { type AdapterMeta, peftAdapter, type TrainedAdapter } from './adapter-out.ts'
import { encode } from './encode.ts'
import { writeSafetensors } from './write-node.ts'

/** Replaces the directory that is there. The values are stored as f32. */
export async function saveAdapter(
  directory: string,
  architecture: Architecture,
  adapters: readonly TrainedAdapter[],
  meta: AdapterMeta,
): Promise<void> {
  const { config, tensors } = peftAdapter(architecture, adapters, meta)
  await writeDirectoryAtomically(directory, async (temporary) => {
    const outgoing = tensors.map(({ name, shape, values }) => ({
      name,
      shape,
      dtype: 'F32' as const,
      bytes: () => [encode(values, 'F32')],
    }))
    await writeSafetensors(join(temporary, 'adapter_model.safetensors'), outgoing, { metadata: { format: 'pt' } })
    await writeFileAtomically(join(temporary, 'adapter_config.json'), `${JSON.stringify(config, null, 2)}\n`)
  })
}
