/**
 * Structured output of models with random weights: `node bench/structured-models.ts [SCHEMAS]`, 300 without. The schemas are dealt to
 * the models in turn. Prints one line of JSON per model and fails at the first complete answer that does not parse and validate.
 */
import { answersUnder, enforceable, models } from '../test/structured/random-models.ts'

const schemas = enforceable(1, Number(process.argv[2] ?? 300))
for (const [i, model] of models.entries()) {
  const dealt = schemas.filter((_, at) => at % models.length === i)
  const started = performance.now()
  const { reasons, tokens } = await answersUnder(dealt, model, i)
  const seconds = Math.round((performance.now() - started) / 100) / 10
  console.log(JSON.stringify({ ...model, schemas: dealt.length, reasons, tokens, seconds }))
}
