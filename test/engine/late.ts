/** The reference as a device for tests of running ahead. */
import type { Backend } from '../../src/ops/backend.ts'
import { drawRows } from '../../src/ops/draw.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { values } from '../../src/ops/reference/values.ts'
import type { Tensor } from '../../src/ops/tensor.ts'

const nextTask = () => new Promise((resolve) => setImmediate(resolve))

/** The reference as a device: ids are kept, and come to the host some time after they were asked for. */
export interface Late {
  backend: Backend
  /** 'pass 3', then 'ids 3' when they have come, and 'pass 4 ahead' for one with ids that are not on the host. */
  events: string[]
  /** Draws that are not released. */
  kept: Set<Tensor>
  /** Throws or rejects from this pass on. */
  breaks: { pass: number; how: 'throws' | 'rejects' } | undefined
}

export function late(): Late {
  const base = createReferenceBackend()
  const ids = new Map<Tensor, Int32Array>()
  let passes = 0
  let ahead = ''
  /** One pass is computed after the other. */
  let computed: Promise<unknown> = Promise.resolve()
  const device: Late = {
    events: [],
    kept: new Set(),
    breaks: undefined,
    backend: {
      ...base,
      embedDrawn(table, { drawn, rows }, scale) {
        ahead = ' ahead'
        const index = rows.map((row) => Math.max(0, ids.get(drawn)![row]!))
        return base.embed(table, index, scale)
      },
      drawAndKeep(logits, draws) {
        const { breaks } = device
        const pass = passes++
        device.events.push(`pass ${pass}${ahead}`)
        ahead = ''
        if (breaks?.how === 'throws' && pass >= breaks.pass) throw new Error('no memory left')
        const chosen = drawRows(Float32Array.from(values(logits)), draws)
        const drawn: Tensor = { shape: [draws.length, 1], dtype: 'f32' }
        ids.set(drawn, chosen)
        device.kept.add(drawn)
        const before = computed
        const arrive = async () => {
          await before
          for (let turn = 0; turn < 3; turn++) await nextTask()
          if (breaks?.how === 'rejects' && pass >= breaks.pass) throw new Error('lost on the way')
          device.events.push(`ids ${pass}`)
          return chosen
        }
        const release = () => {
          ids.delete(drawn)
          device.kept.delete(drawn)
        }
        const arriving = arrive()
        computed = arriving.catch(() => {})
        return { ids: arriving, drawn, release }
      },
    },
  }
  return device
}

/** How often a pass was enqueued before the ids of the one before had come. */
export const aheads = ({ events }: Late): number => events.filter((event) => event.endsWith('ahead')).length
