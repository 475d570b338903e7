/**
 * `format` as patterns. Each accepts a part of what the format allows (dates without 29 February, for instance), which is enough
 * for writing: everything written is valid. Formats that are not here are refused.
 */
const month = '(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))'
const date = `[0-9]{4}-${month}`
const time = String.raw`(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])`
const byte = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
// The last label begins with a letter: a name that ends in a number is read as an address.
const word = '[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*'
const domain = String.raw`${word}(?:\.${word})*\.[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*`
// A label of a host name has at most 63 characters.
const label = '[A-Za-z0-9](?:-?[A-Za-z0-9]){0,14}'
const lastLabel = '[A-Za-z](?:-?[A-Za-z0-9]){0,14}'

export const formatPatterns: Readonly<Record<string, string>> = {
  date: `^${date}$`,
  time: `^${time}$`,
  'date-time': `^${date}T${time}$`,
  uuid: '^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$',
  ipv4: String.raw`^${byte}(?:\.${byte}){3}$`,
  email: String.raw`^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@${domain}$`,
  hostname: String.raw`^${label}(?:\.${label}){0,2}\.${lastLabel}$`,
  uri: `^https?://${domain}(?:/[A-Za-z0-9_.~-]+)*/?$`,
}
