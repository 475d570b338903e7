/** Notes for reports about settings that are valid but may surprise. */
import type { Architecture } from '../architecture/architecture.ts'
import { unpublishedOf, windowOf } from '../architecture/slots.ts'

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
  const unpublished = layers.map(unpublishedOf)
  if (unpublished.some((slot) => slot?.window))
    found.push('The width of the bands was never published: work and cache are counted as if every layer saw all keys.')
  const heads = unpublished.find((slot) => slot?.heads)?.heads
  if (heads)
    found.push(
      `The printed ${heads.printed} heads of ${heads.size} make ${heads.printed * heads.size}, not the width of the model: parameters and cache are counted with an attention as wide as the model.`,
    )
  if (unpublished.some((slot) => slot)) found.push('Its weights were never published: it can be inspected and compared, not run.')
  return found
}
