/** Adapters with random values, for tests. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSafetensors } from '../../src/checkpoint/write-node.ts'
import { random } from '../../src/random/stream.ts'

/** Shapes [I, O] by module, or whole tensors by name. */
export async function writeAdapter(
  directory: string,
  modules: Record<string, [inputs: number, outputs: number]>,
  config: Record<string, unknown> = {},
  { rank = 2, seed = 1, prefix = 'base_model.model.' } = {},
): Promise<string> {
  mkdirSync(directory, { recursive: true })
  const next = random(seed)
  const tensor = (name: string, shape: number[]) => {
    const values = Float32Array.from({ length: shape[0]! * shape[1]! }, () => next() - 0.5)
    return { name: prefix + name, dtype: 'F32' as const, shape, bytes: () => [new Uint8Array(values.buffer)] }
  }
  const tensors = Object.entries(modules).flatMap(([module, [I, O]]) => [
    tensor(`${module}.lora_A.weight`, [rank, I]),
    tensor(`${module}.lora_B.weight`, [O, rank]),
  ])
  await writeSafetensors(join(directory, 'adapter_model.safetensors'), tensors)
  writeFileSync(join(directory, 'adapter_config.json'), JSON.stringify({ peft_type: 'LORA', r: rank, lora_alpha: rank, ...config }))
  return directory
}
