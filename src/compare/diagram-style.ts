/** Colours and type of the drawings, for light pages and, by the viewer's own preference, for dark ones. */
export const STYLE = [
  'text{fill:#1f2328;font-size:11.5px}.name{font-size:18px;font-weight:650}.sub{fill:#59636e;font-size:12px}.title{font-size:13px;font-weight:600}',
  '.label,.note{fill:#59636e}.note{font-size:10.5px}.diff{fill:#9a4f00;font-weight:600}.times{font-size:12px;font-weight:600}',
  '.page{fill:#ffffff}.box{fill:#f6f8fa;stroke:#c4ccd4}.hot{stroke:#e0912f;stroke-width:1.6}.mark{fill:#fdebcf}.block{fill:none;stroke:#8c959f;stroke-dasharray:5 4}',
  '.wire{fill:none;stroke:#6e7781;stroke-width:1.4}.head{fill:#6e7781}.plus{fill:#ffffff;stroke:#6e7781;stroke-width:1.4}',
  '.full{fill:#3d6fb4}.slide{fill:#a9c7ee}.query{fill:#3d6fb4}.kv{fill:#1a7f64}.on{fill:#c2571a}.off{fill:#dcc3b2}.wide{fill:#a15c8f}.narrow{fill:#d9b8d0}',
  '.p0{fill:#8d99a6}.p1{fill:#3d6fb4}.p2{fill:#a15c8f}.p3{fill:#c2571a}.p4{fill:#5b6b7a}.p5{fill:#2d9d78}.rest{fill:#e8ecf0}',
  '@media (prefers-color-scheme: dark){text{fill:#e6edf3}.sub,.label,.note{fill:#9aa5b1}.diff{fill:#f5b45f}.page{fill:#0d1117}',
  '.box{fill:#161b22;stroke:#3a434d}.hot{stroke:#b5752a}.mark{fill:#38290f}.block{stroke:#6e7781}.wire{stroke:#8b949e}.head{fill:#8b949e}.plus{fill:#0d1117;stroke:#8b949e}',
  '.full{fill:#5b93df}.slide{fill:#28456d}.query{fill:#5b93df}.kv{fill:#35b48f}.on{fill:#f0833a}.off{fill:#4d3626}.wide{fill:#c585b5}.narrow{fill:#513449}',
  '.p0{fill:#9aa5b1}.p1{fill:#5b93df}.p2{fill:#c585b5}.p3{fill:#f0833a}.p4{fill:#66727f}.p5{fill:#35b48f}.rest{fill:#21262d}}',
].join('')
