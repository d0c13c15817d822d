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
      `a 1.71, afternoon 1.38, and -0.31, arabica 0.83, barley 1.52, beef 0.70, bitter 1.06, black 5.06,
      boiling 1.44, bone 0.54, bouillon 0.28, breakfast 1.23, broth 1.84, camomile 3.78, caffeine -0.63,
      chai 2.97, chamomile 4.13, char 0.87, cheap 0.21, chicory 1.14, chocolate 2.91, cider 0.93, cocoa 5.38,
      coffee 6.41, cold 0.49, comfort -0.23, custard -0.94, decaf 2.35, despair -1.92, dirt -2.52, Earl 3.49,
      English 2.69, espresso 2.05, fennel 1.75, fresh 2.75, fruit 1.57, ginger 3.00, gravy -1.41, green 4.64,
      herbal 3.97, her 2.12, his 0.62, hibiscus 1.62, honey 1.02, hot 5.71, instant 3.20, it 1.49, jasmine 2.63,
      lapsang 1.29, lemon 2.83, matcha 1.99, milk 1.41, milky 1.91, mint 3.29, mud -0.78, nettle 1.95,
      noodles 0.13, oolong 1.78, Ovaltine 1.34, peppermint 3.39, rice -0.41, rooibos 2.43, rose 1.10, sage 0.67,
      soup 2.18, soup-flavoured -1.63, steaming 2.57, strong 3.86, sugar -0.55, sweet 2.51, tea 6.93, tepid 0.34,
      that 1.88, the 2.28, thick 0.81, turmeric 0.90, warm 2.09, water 2.02, weak 1.67, yerba 0.43`,
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
