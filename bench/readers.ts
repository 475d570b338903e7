/**
 * Random sequences of tokens through every reader of tool calls: `node bench/readers.ts [count] [first seed]`, 100,000 by default.
 * Fails with the answer at the first exception, lost word, or text in a wrong part without a warning.
 */
import { FAMILIES, randomAnswer } from '../test/chat/readers/random.ts'

const [count = 100_000, first = 1_000_000] = process.argv.slice(2).map(Number)
for (let seed = first; seed < first + count; seed++) randomAnswer(FAMILIES[seed % FAMILIES.length]!, seed)
console.log(`readers: ${count} random sequences, ${FAMILIES.length} syntaxes`)
