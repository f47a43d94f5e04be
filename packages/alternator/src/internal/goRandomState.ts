/**
 * The state that Go's `math/rand` mixes a seed into: 607 words of 64 bits, of which Int31 needs the lower 63.
 *
 * Little-endian, in base64. The numbers are those of `rngCooked` in Go's src/math/rand/rng.go: the additive lagged
 * Fibonacci generator (607, 273) after 7.8e12 steps.
 */
const words = new Int32Array(
  Uint8Array.from(
    Buffer.from(
      [
        "6v+Y6zNK90VbX5a6QUp7QA+vgcsTxV4T65VDp1z7BEqOzxB3HIPoJ8PBN4/o5F19qYX/Q3fPIWNh+Z9qVQbLQtLX6EDRyCZuoPoRNB9Rp0lV",
        "UKYiSXftcVwt6l/Gn1wdaEMBSjmrvT8LNJJpWTP6cAJqps5O+xAuitG8i6m8n3esgKMuscz3Fxsr88qU15EBryzjJDQyaj8rFAEfksxCRmiA",
        "80+fhiIhIDmvJxGjsSWWncK9+aQHW4YlgSk8lypq4VJ699szpGqeyYo7biGUA3yZW1HFqYBbaffL8+/ywwMMIf/uMeS1JvVTKZk0U8gO6dEQ",
        "3zIUai5JsdFZmWLkPVF5OHY4TJlnY66bVWHUFQ53oNLpxJa/PfMg2mqGYk8wv5fbRhbakCF6lTIYPIdxUEuQ2hk6UDs+KIXH8qWI4zN36NAZ",
        "rAvHPnLwG/hwaSUAhqhP9hSK0XdMc9S0ePluJI6nJzFX8S94puub1QobJAAvW+kfWUnFWjktTIjy+pVhXTTvsL0rnFYe4oxQOWCLC7vSNVRw",
        "dhVv99jx9QqQXh031H99GC2QHnnr4I98eyJ/mLvrAWIOeThx4SJ5rI6BREDT2lDF1lgGmpZyzJS4vwS9KbPjQVGFJ0bnurFWFbMcSW9o+QSQ",
        "oDxph1B+bRRQDHDJWpP/2DVN2FQVqrQYmF6g2jNk/X7zTVbgsgWt6ZF1KT742wvrZxfymVJTknIkOOtMXlqXReY6K8M7XBV46mxu6KxXU14p",
        "Tgi7rU+aapALyWNE9moIUH381hn9rIUDLZ860eGl1OY7nAObtzOfCXw1WgyEJCJ4Wc8a1UW8OE4XPk7eVJ8v+FMO77OHCvoNYWmXQ3vs2Qlq",
        "EVBMzMfDnlHV4xPED5lHC+Jbzs9+4Ac/viIZt7jQ0iVhx3zIH+oeRd3W8ffeXlBIBekcAI7Xbnu6aPRENgrMV9ApRC7bMcIU0z2UkJrNHGLR",
        "wo8o9WlIZrWPFk5gb8Vd9vqxsKvkUUEnuafO6EeWbN5hvn0YQqd2PA54SUCNdwAT5GzCRkRxEgtw5xnAW0dlF23YYB14CA7gcfXV6Q8PH1du",
        "iDO/Ym5H5rROUv8McQylmTiepVboJJoYg1eLfJ9UFAACBpxTCBhnVFGy7ln8OBSmmYSL/49zIlI9OucrpnU4SEwrg4KLUN74L2jHnxB1DD/F",
        "XPGtHFMmWGtACQVyQfqWvBBScQBp+5PTNjX+BAdK+67MbptcRhlAvpIwx68L6ol415m18AebWPq4SQreGPAPg8lxThcv3YVnooC3cDS+YrEj",
        "YbemICKDxc0kve8RIyazJlC3e3vQBB+arxw9UCHprrwJ+fAlC44cne18qkb5tmJ6nqfYfBQ/6LwFz8Q6xDegCKB5xUXQEnlSjohTQBd7nyiy",
        "oI942r0CIF2v+1GER8oSqAPkClCknzI3on4NCPK2Ar8EP0sz7TmKPmSWRxlkW9ee15J9rOhYssghaCEx6UZ7/zo9aWort/yMhbA2ZxH/5588",
        "Xi6lwhw5lcP0KnZ2628H/cRmc+ftMfu171Cu/NtZMyR/bdsPDjRA55Nxkt3GpHMf9Q9mqRz6bktTFEEN1yBFcmpAkgUSGb0WzTDc1iwMWGtF",
        "De8phGoNvGJcXjnpuKlOdEjhroRcghTvGDTicTq3Mh5KwChSxCdv7g+h5NLgOy5ORghg4YL0Z7sjJ3Mk6EG1EQ/Xryp9DPl9Lho5LBSW9OFU",
        "dEL6JfYOQB0Tns4QZpYGGdrMwdc0WUUiIJLatzlCQWZWVSf2kZCfNL2KKGQ9a5ECoG8Gx6HQUh+h8Iz7bGYqZIOtY7AdmJ0MSn62WGGi32Pf",
        "wuzrNv48Tv9kU6Ur6+Q20Rd3DZ4X0m/bRyI2t6JxOTvFENUlz+VbYVJzc60oDxOL638EAd2VWlq0WHNAsa0wgxBMeHZHtH8GVAfr9OggG9nA",
        "x7ZAXydcJw97pt34LXOFyITErzcmNjH2i4NJhslhWH8nMO4fBl9VFKwtBSLTFemueOSGBNN6RdHOSh8iZzK4ZjUsBQeYR7mgfqdQUwIo05wW",
        "/MJ+GkIApylRsDonV/JDn3H79+Q6SL+46FfYWxxZ83FpGJTVWhRwQpytilE/GIKOzLjDQ0y335JvVrofGKzANVTFqqwHj7zLOBCIsF9zur5s",
        "VbVDctSf5zswnxRjdSRxH0PeqnZLwsu2V6XSTHLeacF1abwhNIF2DPSM90qfFRJKYt08cT4NORsE0HNVBuitO9mL6mnyYc14Pa+LV8mdaH86",
        "qRgzNVK+vRxQpy0AErGbjERtW7Qx8mbKZmUD5De34ulRnjjPaJscVIdGcMk3KV2jKN8otbBEaXWy/gucTiPCQ0HCKY8GAo1Pef10feUV32jw",
        "kAUJwI2rrZitZAaklIGCsVVBP3T/1CcwRk5FCOxoESMGUznDwIZJmAEuWg6YVjaYYUwaBT2vErK0NnrhbHBK8apwQDrelcnLRzVfVujp2bgC",
        "YjSs2x0Y6kkKQc5TKLm8p1M6b6FGJROqImIoyUtjZsFWcaCTvM5q/xJR6mypgDJAeiRaZoGPOxhaZOTA0oBMKyKmOrpYTT2eBWPlL8uJg6I5",
        "5P4SlbgMogO9DLNhsJHWSwmfrPP4ujkIuMTR7bMD310J7YLLxJQmdmDTm4e5A8ZQV2ZCgPfaWAWrMp5iG9t/SOEvhhbVOHlXAOxZJ5ZWOmPZ",
        "kEsXL8gbBYZc0srrXTsr2zWb3dBrdiiHFMqDtiZfQlP2dqBAKzxdNNb4corpZHRBeE7qPt0CL3d4UkLof5dAYh0rktQa8Hsp6k6LKpyVSgI4",
        "UxChfMpp2XskV2NJNmsysqdcZAd8f3tn4wqlP8Y42Ec5cHT9tyB54IzcoLEfI3duybdCM7YWJ4Dm1wmpOU3d7MoZW2gnFE23kY7SbJwcVDoN",
        "Dnn7wRERthu4vdNnfhHi9okN/JZTIutJsPusfkXVTWX1m5fhHcooXVinbENdedkYMobi11NFFp3PPL6nL7DMnnvhp7cfgsIp2c4fKysNMWRe",
        "N5BaWL19IhEWajNLzXD4uvUlaWNecYRLJdDgQ0eSIXd1xQ4Icdn7WA/kXhfhvK1bNsx4PZUykIN2oJUEUztqOdPAiQ+miNiIHKibY4GnXHec",
        "ja8/kyidUT8NxGrEfd/H2DH+AdvWfTgDgG0DlwoiaPchBgwHJwh6zKjWWWB1RvgqV+oqw/n9yTYBkRzihRMR/t0+R9+Ho6aiue15+/bF3HrR",
        "VlXHoyhr+Qknd2rOjULwaS1VFsKSmr60uxxdHPTK9q43T5ip180QEUNTyh3Ms+UdfDzZq15ipxGDBCweqAy0HORe/L8d5WhbOEP/ovnUcB9q",
        "U1zLsCe5zOpK5BDgY0Gu3T/gHsmoUlR/DssMl1hUMWF+dUwFEAscggsIBoT5Ec9ERE1rL2CntzYlf/kmodWGFzOT23KDcM2pSdpRJFQHWudX",
        "BJFlKA2h5SSv5rj4y+skECMl84AzfBMIX0JeqRgRozIeK4BAYQtkPV8cK/HQPH4Wp7m6f+iJEANBCD66s/sbcWvTHA2tw387w1m3aNn0sj8C",
        "0gVJVnWETIP6NmIqC6hg4zqDGme4pQaN5Y/rKIhgeRfnIVefyysD3hZ+3OUk0hKV1OBRgovmKaMIywh1SsArJZ0ySKY1+AWoGeyX95knTRDt",
        "8nbArTpEF2fkd+J9NQlsnTy2rgd5LzVb2wTga84n2PFb2SgCvxtjs+Ele+ExLiW5fZWeQukjJWh+PKtfDhUzWZ+/cTbqKiwQMjlD79Iywch/",
        "xx7Sfg1HYo70gBJfakKuEfPNR7cXjoP6qQ4GAWCE/MxbjFCnLGP5BD+EoKojpdPr6KT3SXls30H93muHInye5gdPciRBtKZaPfINRz+4kPWZ",
        "IDWYKT1llVj0kMwR0fgoq6ENVQPbNBsrXMxCeACErJQ2m7cILG75hAvVcj+Q9Qjr+HlwFHIIBYIht2xpp9U2rMlbiFThl/55tYi4bP3kBFIQ",
        "gpRiATe5Fgh57zxWZRO+JnqnPSio3RQTho97z1uuA7i3oghAMTLQHqnIUz7sZ7igAQAH5d2TsPnB9mR4gwu87GsIDsf8b8CXUXUe+ATyNO4F",
        "ZyRMJhbVgnWSRzwTRnWke+Ez4rSqXBsRPyNeJUMUFo49IpyB0ESzKPFITSCrOfsi0WyqNo8jvxApXLqbX+AQrK4QyirkD7C2VB3LzQ96OGSP",
        "aAk2RwFfIFpELci4to7taEesI/1DDZIlcmR5gYparb0lq1oBue+cvH49c+qkj+cePKQieXXRhQ5jIf6B4MU9EmFmTmd5EMGGXPu5Grk/lxgJ",
        "KoxtylXu1AC1tRVSbUcAVSpt6uKzaFB8hcsj3RCpXSBbd582EV6bF9fqZX10csgr553BKqqDuhbVa6DTEIclIudDkxbZ+7wCc2JrJJnN7ggC",
        "AzwtGzBLI7/sMQldCWE8mETkU+Lq+0EQiNI5btX4G3AnhXUyXgJvbbKlxjvYgTtrp1hz8ToOdDd4IQxhkQRauntw6U7ANDIkwxLPgXTWaN8U",
        "3hIHqME9BeRlYgXNRhYj4l3+hVvtSQDKFJUw5jRAvek16qmxXCVMzxgUrF1YA/od53q25r9GmBWElYBq3m3TCGGmdIBHDMQBJkko+/RJuKzn",
        "ZZoeH2xfo6PgIPLDRH4NFqyXJ0JEFSytEVrVvimNrFLeLL69KQz7OBbQbkgiWFCij90f6XtQzxghSskGbeVJtvy58hk+Aufv3dAQo21waOd/",
        "Gda0HWPrhNRt6aghFln4gv09gCJGTGTXRAoaOmKqUrWLGCUaEb0gxhirPnqZ6hDdTk/SM2zMNmUlOW046KEr+551fmBxYGx8PbseEi9pho8I",
        "a7oWedL+6uoqvTKsEKvz3sIMNyvbtrCEEhwrkv+9W9vE1FceJKCgkIFbP67PYH5F9nkbkR4YlIwxXCDV4zOwcaaANFWnuvtelXl117DG0PbJ",
        "dydDLGb2wiEPKrybhkW8tIZCSdJuyLFm4j3FQgnojkeWBRuu5i6LYdNvd+pdPjoHCD+vcW4d0Ed4Dv6q+8SvgR9NQMl4B8ZxviQhlmoE37bC",
        "Hc9sD5WTTpRQB0CjHgRnx2LGdmUgyfkbUlFecdcremsGQTZ5jDx1l3rkZUp4GazaUuv3c3wLEdMHtynEvD8nayYKVHVayC0wFt7kVgpw00BI",
        "/1vQ/ANTh1aIJeOlBu2+KzpqY/gmZYp1OCDm6Np6vgEK9MRbx760ScPBnwrOaXpcZKrbCjyFP3m21TmOZbhIPoXLB/OIzDNSBORGZ1aM9AGS",
        "ERE+LyvnZtUzQ3tdreNuXuNEvwr46zssN5Yp+j1PMk8p04TVAAkmyBfg0weXs0838lYKCdE8U0NdYOXHeuF6GUStDm8QwEi+YCp7A6i7CX1V",
        "phI8mJlpUWP81Imy7CkijYgIwz5OXKdWEXyMGJIkEFr4HHgCZUdEC8Gxs11dDrceqTti9r8VZZzwo7soanHxMC/JB3b0V62dhzR4kAQemXDb",
        "lZfFESajinUVQ8d0GjkybxFATG1T0Jeth8WaU1LDWYnydRYaHySDnmH1eG0MrffvY+XP8SodS8nlEiKdPx+2N3tGPQJ+a+nuq612q3rRYmuS",
        "2V35T3bbciGmeKI6Z8jIGeWrghl+hfXxjRHCNIBsE0C2dnN6L96aokzQpxh+53dNsBSfbaFH7YsErT1LMTIdk+TlnkwKPfNDpev0OibZc3Og",
        "rzp5Mpqz5g+mbhjmYWNmTzQfY8tJwETcvhxyA1Re66BS90QgBUF94pkbL93DuOWgQCdZl2xE+6VO/ASm569Hf1huLaSEg3sTLFReXB4wew/8",
        "Dyr0il0KMEcFAnnAfQjCOcZTtiuacKh8RgreNtq0a7tCYnYDyR5TsHlg90MY3JjPjAXBrhGwF7QXBBtk3fBP3d5sMuhJIyiHNwz76OcWiLvw",
        "VfTC2A9IULYFbQt2T3OqRX0UCNJThUJiWcTnaBmgKw5AAGD3o7kZfgcMA2Rhj1UXHZ/F5sBIMXV5Q9g77/LSdxpv4QGHjbhuZmiGKDTO53JV",
        "B9aRVLGCjWtUvusap2XCdweePm/d3UdJhlV5XGP+jWKb+T/UOT5nIiL1jMdtCH5jZpx+n2bjN2446K+kR7vXEr234tvfq54f0cG18mrKTzIp",
        "G1tSUqHkWQ50dY0K0ZF82JXKfzpTfEzbsYZz9/tmEr3D0Ua6ZppoGnC1JLFx1ktNwK6eCv1DLFVl4eQXMRRYI6xIErvFWAPFCuOAvXf2Ko9/",
        "8KQncpl8UOGwnF3MSChBm+SwHnEKZHg5yh2gv/xkhMdr/y+rChhe5kKqUGdcOfTzlZZM6n8oikL2SRc2FhWUIZ+ZktV3Sfhfk/bZZlFEqRxD",
        "j6ID9SfsEL5Rw6PTUemWKBaA4Hl1JCggWzjptWUMxrBZSh66eweyqilYZd4oLjiLx40E3mHX33rMllpTdDvwXnOboVd+xiXAMToKoDk="
      ].join(""),
      "base64"
    )
  ).buffer
)

export const cookedLow = Int32Array.from({ length: 607 }, (_, i) => words[2 * i]!)
export const cookedHigh = Int32Array.from({ length: 607 }, (_, i) => words[2 * i + 1]!)
