// The rows one can choose.  Their logits are invented: of the kind that a model gives, not the output of one.

/** "word logit, word logit, ..." as {labels, texts}; `lead` begins each label. */
function namedRow(text, lead) {
  const pairs = text.trim().split(/\s*,\s*/).map((pair) => pair.split(" "));
  return { labels: pairs.map(([word]) => lead + word), texts: pairs.map(([, logit]) => logit) };
}

const ROWS = {
  words: {
    name: "A language model’s next word",
    about: "80 tokens that may follow “She put the kettle on and made a cup of”. A space before a word is shown as ␣.",
    ...namedRow(
      `a 2.31, afternoon 1.87, and -0.42, arabica 1.12, barley 2.05, beef 0.94, bitter 1.43, black 5.62, boiling 1.95,
      bone 0.73, bouillon 0.38, breakfast 1.66, broth 2.48, camomile 5.11, caffeine -0.85, chai 4.02, chamomile 5.58,
      char 1.17, cheap 0.29, chicory 1.54, chocolate 3.93, cider 1.26, cocoa 5.87, coffee 8.94, cold 0.66, comfort -0.31,
      custard -1.27, decaf 3.18, despair -2.6, dirt -3.4, Earl 4.71, English 3.64, espresso 2.77, fennel 2.36, fresh 3.71,
      fruit 2.12, ginger 4.05, gravy -1.9, green 5.73, herbal 5.36, her 2.87, his 0.84, hibiscus 2.19, honey 1.38, hot 5.94,
      instant 4.33, it 2.02, jasmine 3.56, lapsang 1.75, lemon 3.82, matcha 2.69, milk 1.91, milky 2.58, mint 4.44,
      mud -1.05, nettle 2.64, noodles 0.17, oolong 2.41, Ovaltine 1.81, peppermint 4.58, rice -0.56, rooibos 3.29, rose 1.48,
      sage 0.91, soup 2.95, soup-flavoured -2.2, steaming 3.47, strong 5.21, sugar -0.74, sweet 3.39, tea 11.37, tepid 0.46,
      that 2.54, the 3.08, thick 1.09, turmeric 1.21, warm 2.83, water 2.73, weak 2.25, yerba 0.58`,
      "␣",
    ),
  },
  letters: {
    name: "A character model’s next letter",
    about: "The 27 symbols that may follow “temperat”, at an early stage of training. ␣ is a space.",
    ...namedRow(
      `␣ 0.4, a 1.1, b -2.3, c -0.9, d -1.6, e 3.9, f -2.2, g -2.7, h 0.3, i 2.6, j -5.1, k -3.8, l -0.8, m -1.2, n -1.9,
      o 1.4, p -2.4, q -5.6, r 0.9, s -0.2, t -0.1, u 4.6, v -3.1, w -2.9, x -4.8, y -1.3, z -4.4`,
      "",
    ),
  },
  flat: {
    name: "A flat row",
    about: "20 equal logits: every temperature gives the same, and top_p = 0.5 keeps exactly half.",
    labels: Array.from({ length: 20 }, (_, i) => `entry ${i}`),
    texts: Array(20).fill("1.5"),
  },
};
