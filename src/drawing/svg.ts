/**
 * The few SVG shapes that diagrams and charts need. Looks come from classes, so that one style sheet serves light and dark.
 * Text widths are estimated on the wide side, because only a browser could measure them.
 */

/** Average advance of a proportional sans-serif digit or letter, as a share of the font size. */
const ADVANCE = 0.56

export const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character]!)

export const textWidth = (text: string, fontSize: number): number => text.length * fontSize * ADVANCE

/** Cuts at spaces, or at other places, into lines that fit, as far as such places exist. */
export function wrap(text: string, width: number, fontSize: number, at: string | RegExp = ' '): string[] {
  const lines: string[] = []
  for (const part of text.split(at)) {
    const joined = lines.length ? `${lines.at(-1)} ${part}` : part
    if (lines.length && textWidth(joined, fontSize) <= width) lines[lines.length - 1] = joined
    else lines.push(part)
  }
  return lines
}

/** A coordinate with one decimal. */
export const n = (value: number): string => String(Math.round(value * 10) / 10)

export const rect = (x: number, y: number, width: number, height: number, className: string, radius = 0): string =>
  `<rect x="${n(x)}" y="${n(y)}" width="${n(Math.max(0, width))}" height="${n(height)}"${radius ? ` rx="${radius}"` : ''} class="${className}"/>`

/** A shape without text, more or less transparent. */
export const faded = (shape: string, opacity: number): string => shape.replace('/>', ` fill-opacity="${Math.round(opacity * 100) / 100}"/>`)

export const text = (x: number, y: number, content: string, className: string, anchor: 'start' | 'middle' | 'end' = 'start'): string =>
  `<text x="${n(x)}" y="${n(y)}" class="${className}"${anchor === 'start' ? '' : ` text-anchor="${anchor}"`}>${escapeXml(content)}</text>`

/** Text turned by `degrees` around its own place. */
export const turned = (
  x: number,
  y: number,
  degrees: number,
  content: string,
  className: string,
  anchor: 'start' | 'middle' | 'end',
): string => `<g transform="rotate(${degrees} ${n(x)} ${n(y)})">${text(x, y, content, className, anchor)}</g>`

export const line = (x1: number, y1: number, x2: number, y2: number, className: string): string =>
  `<line x1="${n(x1)}" x2="${n(x2)}" y1="${n(y1)}" y2="${n(y2)}" class="${className}"/>`

export const path = (d: string, className: string): string => `<path d="${d}" class="${className}"/>`

export const circle = (x: number, y: number, radius: number, className: string): string =>
  `<circle cx="${n(x)}" cy="${n(y)}" r="${n(radius)}" class="${className}"/>`

export type Box = readonly [x: number, y: number, width: number, height: number]

/** Many rectangles as one path, which takes fewer bytes than as many elements. */
export const cells = (boxes: readonly Box[], className: string): string =>
  boxes.length
    ? path(boxes.map(([x, y, width, height]) => `M${n(x)} ${n(y)}h${n(width)}v${n(height)}h${n(-width)}z`).join(''), className)
    : ''

export interface DocumentOptions {
  /** The picture in words, for those who cannot see it. */
  describes?: string
  /** Width in pixels where there is room; default: that of the drawing. A narrower page shrinks the picture. */
  shownWidth?: number
}

/** A whole document. `title` is what screen readers say. */
export function document(
  width: number,
  height: number,
  title: string,
  style: string,
  body: string[],
  { describes, shownWidth = width }: DocumentOptions = {},
): string {
  const fluid = shownWidth === width ? '' : ' style="max-width:100%;height:auto"'
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${n(width)} ${n(height)}" width="${n(shownWidth)}" height="${n((height * shownWidth) / width)}" role="img" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"${fluid}>`,
    `<title>${escapeXml(title)}</title>`,
    ...(describes === undefined ? [] : [`<desc>${escapeXml(describes)}</desc>`]),
    `<style>${style}</style>`,
    ...body,
    '</svg>',
    '',
  ].join('\n')
}
