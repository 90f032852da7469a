// Texts shortened so that they still tell things apart, and how wide they are.

const LINES = 1.6; // of a label, with what a break at a word leaves empty
const MEASURED = 500; // texts, at most, of which the widest is looked for

// Texts of at most so many letters, no two alike: those that would be lose what they have in common
// in the middle, and not what tells them apart at their ends. They are numbered where that fails.
function toldApart(texts, length) {
  const cut = (text) => (text.length > length ? `${text.slice(0, Math.max(1, length - 1))}…` : text);
  const short = texts.map(cut);
  const alike = (places) => {
    const groups = new Map();
    for (const i of places) groups.get(short[i])?.push(i) ?? groups.set(short[i], [i]);
    return [...groups.values()].filter((group) => group.length > 1);
  };
  const groups = alike(short.keys());
  while (groups.length) {
    const group = groups.pop();
    const [first, ...others] = group.map((i) => texts[i]);
    let common = 0;
    while (common < first.length && others.every((text) => text[common] === first[common])) common += 1;
    for (let head = common; head > 0; ) {
      head >>= 1;
      const tails = group.map((i) => cut(`${texts[i].slice(0, head)}…${texts[i].slice(common)}`));
      if (new Set(tails).size === 1) continue;
      group.forEach((i, k) => (short[i] = tails[k]));
      groups.push(...alike(group));
      break;
    }
  }
  for (const i of alike(short.keys()).flat()) short[i] = cut(`${i + 1}: ${texts[i]}`);
  return short;
}

const pen = document.createElement("canvas").getContext("2d");

// How wide the widest of these texts is, in an element's font.
function widest(texts, element) {
  const { fontStyle, fontWeight, fontSize, fontFamily } = getComputedStyle(element);
  pen.font = `${fontStyle} ${fontWeight} ${fontSize} ${fontFamily}`;
  const longest = [...texts].sort((a, b) => b.length - a.length).slice(0, MEASURED);
  return longest.reduce((most, text) => Math.max(most, Math.ceil(pen.measureText(text).width)), 0);
}
