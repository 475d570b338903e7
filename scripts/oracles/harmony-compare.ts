/**
 * Compares Lineage with openai-harmony on a file that harmony_random.py has written. Development only.
 *   node scripts/oracles/harmony-compare.ts FILE
 */
import { readFileSync } from 'node:fs'
import { hashOf, randomCase } from '../../test/chat/harmony-random.ts'
import { publishedTokenizer } from '../../test/chat/published.ts'

const tokenizer = await publishedTokenizer()
const counts = new Map<string, [equal: number, all: number]>()
let shown = 0
for (const line of readFileSync(process.argv[2]!, 'utf8').trimEnd().split('\n')) {
  const { text, hashes, ids } = randomCase(line, tokenizer)
  for (const [way, hash] of Object.entries(hashes)) {
    const [equal, all] = counts.get(way) ?? [0, 0]
    const isEqual = hashOf(ids[way]!) === hash
    counts.set(way, [equal + Number(isEqual), all + 1])
    if (isEqual || shown++ >= 3) continue
    const ours = tokenizer.decode(ids[way]!)
    let at = 0
    while (at < text.length && ours[at] === text[at]) at++
    console.log(`${way}: expected ${JSON.stringify(text.slice(at - 60, at + 60))}, got ${JSON.stringify(ours.slice(at - 60, at + 60))}`)
  }
}
for (const [way, [equal, all]] of counts) console.log(`${way}: ${equal} of ${all} equal`)
