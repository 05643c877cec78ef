defmodule Bridge.Test.HTTP2.Huffman do
  @moduledoc """
  The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B). Only the way in is needed.

  The code is canonical: its codes, ordered by length and then by symbol, count upwards. So the
  lengths say everything, and the codes are made of them when this module is compiled.
  """

  # The symbols by the bits of their code; 256 is the end of a string, which is never sent.
  @symbols [
    {5, ~c"012aceiost"},
    {6, ~c" %-./3456789=A_bdfghlmnpru"},
    {7, ~c":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"},
    {8, ~c"&*,;XZ"},
    {10, ~c|!"()?|},
    {11, ~c"'+|"},
    {12, ~c"#>"},
    {13, ~c"\0$@[]~"},
    {14, ~c"^}"},
    {15, ~c"<`{"},
    {19, [?\\, 195, 208]},
    {20, [128, 130, 131, 162, 184, 194, 224, 226]},
    {21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]},
    {22, [129, 132..134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185..187]},
    {22, [189, 190, 196, 198, 228, 232, 233]},
    {23, [1, 135, 137..141, 143, 147, 149..152, 155, 157, 158, 165, 166, 168, 174, 175, 180]},
    {23, [182, 183, 188, 191, 197, 231, 239]},
    {24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]},
    {25, [199, 207, 234, 235]},
    {26, [192, 193, 200..202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]},
    {27, [203, 204, 211, 212, 214, 221..223, 241, 244..248, 250..254]},
    {28, [2..8, 11, 12, 14..21, 23..31, 127, 220, 249]},
    {30, [10, 13, 22, 256]}
  ]

  @lengths for {length, symbols} <- @symbols,
               some <- symbols,
               symbol <- if(is_integer(some), do: [some], else: some),
               do: {length, symbol}

  {codes, _next} =
    Enum.map_reduce(@lengths, {0, 0}, fn {length, symbol}, {next, previous_length} ->
      code = Bitwise.bsl(next, length - previous_length)
      {{symbol, code, length}, {code + 1, length}}
    end)

  @codes codes

  @doc """
  Decodes a string.

      iex> Bridge.Test.HTTP2.Huffman.decode(<<0xF1E3C2E5F23A6BA0AB90F4FF::96>>)
      {:ok, "www.example.com"}

  """
  @spec decode(binary) :: {:ok, binary} | :error
  def decode(code) when is_binary(code), do: decode(code, <<>>)

  for {symbol, code, length} <- @codes, symbol < 256 do
    defp decode(<<unquote(code)::unquote(length), rest::bits>>, text) do
      decode(rest, <<text::binary, unquote(symbol)>>)
    end
  end

  # What fills the last byte are the first bits of the end symbol, which are ones.
  defp decode(<<padding::bits>>, text) when bit_size(padding) < 8 do
    size = bit_size(padding)
    ones = Bitwise.bsl(1, size) - 1
    if match?(<<^ones::size(size)>>, padding), do: {:ok, text}, else: :error
  end

  defp decode(_code, _text), do: :error
end
