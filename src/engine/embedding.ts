/** A job that reads ids and gives back the last row after the final norm: what embedding models of decoders pool (last-token pooling). */
import { ReadingJob, type ReadingOptions } from './reading.ts'

export class EmbeddingJob extends ReadingJob<Float32Array> {
  readonly output = 'hidden'

  constructor(ids: readonly number[], options: ReadingOptions, adapter?: string) {
    super(ids, ids.length - 1, options, adapter)
  }

  maxRows(): number {
    return Number.POSITIVE_INFINITY
  }

  receive(_position: number, row: Float32Array): void {
    this.finish(row.slice())
  }
}
