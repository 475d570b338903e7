/** Notes for reports about settings that are valid but may surprise. */
import type { Architecture } from '../architecture/architecture.ts'
import { windowOf } from '../architecture/slots.ts'

/** Sentences, possibly none. */
export function notes({ layers, maxPositionEmbeddings, tieWordEmbeddings, embedding }: Architecture): string[] {
  const found: string[] = []
  const scalings = layers.flatMap(({ attention: { position } }) =>
    position.kind === 'rope' && position.scaling.kind === 'yarn' ? [position.scaling] : [],
  )
  const [yarn] = scalings
  if (yarn) {
    const reach = yarn.factor * yarn.originalMaxPositionEmbeddings
    if (reach !== maxPositionEmbeddings)
      found.push(
        `YaRN × ${yarn.factor} from ${yarn.originalMaxPositionEmbeddings} reaches ${reach} tokens, but max_position_embeddings says ${maxPositionEmbeddings}; the factor of the file is used.`,
      )
  }
  const window = Math.max(0, ...layers.map((layer) => windowOf(layer) ?? 0))
  if (window >= maxPositionEmbeddings) found.push(`The window of ${window} is at least as long as the context, so it never cuts anything.`)
  if (embedding.position.kind === 'learned')
    found.push(`Positions are a table: nothing can be computed beyond ${embedding.position.length} tokens.`)
  if (tieWordEmbeddings) found.push('The embedding is the output matrix too and counts once, as active.')
  return found
}
